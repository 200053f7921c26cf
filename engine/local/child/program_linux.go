package child

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Program is a path of this very program as it runs, for this process to open and for its children to
// run: the one it was started by, by which people know it in a list of processes, for as long as that
// names it, then /proc/self/exe. An upgrade moves or replaces it.
func Program() (string, error) {
	const running = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return running, nil
	}
	own, err := os.Stat(running)
	if err != nil {
		return "", err
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(own, named) {
		return running, nil
	}
	return path, nil
}

// forgetProgram lets go of the pages of this program's file that its start has read, most of them
// never to be used again: 10 MB. The kernel reads again what is used after all (madvise(2),
// MADV_DONTNEED on a file's unchanged pages). For a process that sleeps all its life.
func forgetProgram() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	self, err := os.Executable()
	if err != nil {
		return
	}
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text()) // proc_pid_maps(5): 00400000-00452000 r-xp ... /path
		if len(fields) != 6 || fields[5] != self || strings.Contains(fields[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}
