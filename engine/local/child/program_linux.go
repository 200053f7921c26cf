package child

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DropProgramPages releases the pages of the program's file that this process has read, 10 MB or
// more from its start, most of which it never needs again. The kernel maps them again on use
// (madvise(2), MADV_DONTNEED on unchanged pages of a file). It is for a process that mostly sleeps.
func DropProgramPages() {
	// proc_pid_smaps(5): a line "00400000-00452000 r-xp 00000000 08:02 173521 /path" for each mapping,
	// and then lines such as "Anonymous: 0 kB".
	mappings, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer mappings.Close()
	var start, end uint64
	file := false // the mapping is of a file, and this process cannot write to it
	for lines := bufio.NewScanner(mappings); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if from, to, ok := strings.Cut(fields[0], "-"); ok && len(fields) >= 5 {
			start, _ = strconv.ParseUint(from, 16, 64)
			end, err = strconv.ParseUint(to, 16, 64)
			file = err == nil && fields[4] != "0" && !strings.Contains(fields[1], "w")
			continue
		}
		// The linker writes addresses into a page before it makes it read-only. Such a page is anonymous,
		// and its content would be lost.
		if file && fields[0] == "Anonymous:" && fields[1] == "0" {
			unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}
