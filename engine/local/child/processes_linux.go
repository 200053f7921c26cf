package child

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// processesOfApps takes for the server all the processes and threads that its user may have
// (RLIMIT_NPROC of getrlimit(2)), and returns how many of them a user of the commands that it
// starts may have. A server that gets no thread more ends (newosproc, errno 11), so some are left
// to it: an eighth, 64 at least. It returns 0, no cap, where there is no limit.
func processesOfApps() uint64 {
	all := min(groupProcesses("/proc/self/cgroup", "/sys/fs/cgroup"), number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max"))
	var limit syscall.Rlimit
	if os.Geteuid() != 0 && syscall.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil { // root has any number
		limit.Cur = limit.Max
		syscall.Setrlimit(unix.RLIMIT_NPROC, &limit)
		all = min(all, limit.Max)
	}
	return shareOfApps(all)
}

// shareOfApps is what of all processes is for apps.
func shareOfApps(all uint64) uint64 {
	if all >= math.MaxInt64 { // RLIM_INFINITY
		return 0
	}
	return all - min(max(64, all/8), all/2)
}

// groupProcesses is how many processes the control groups around this process may have (pids.max,
// which is systemd's TasksMax), of which the server is one: those of version 2, and of version 1
// where it is mounted as usual.
func groupProcesses(membership, top string) uint64 {
	least := uint64(math.MaxUint64)
	content, _ := os.ReadFile(membership)
	for line := range strings.Lines(string(content)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // cgroups(7)
		if len(fields) != 3 {
			continue
		}
		base := top
		if fields[1] != "" {
			base = filepath.Join(top, "pids")
		}
		if fields[1] != "" && !slices.Contains(strings.Split(fields[1], ","), "pids") {
			continue
		}
		for path := filepath.Join("/", fields[2]); ; path = filepath.Dir(path) {
			least = min(least, number(filepath.Join(base, path, "pids.max")))
			if path == "/" {
				break
			}
		}
	}
	return least
}

// number is what one of the kernel's files holds; without one, more than anybody has.
func number(path string) uint64 {
	content, _ := os.ReadFile(path)
	n, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	return n
}

// userThreads is how many processes and threads the server's user has.
func userThreads() (n uint64) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		var process, tasks unix.Stat_t
		if unix.Stat(dir, &process) == nil && int(process.Uid) == os.Geteuid() && unix.Stat(dir+"/task", &tasks) == nil {
			n += uint64(tasks.Nlink) - 2 // a link for each folder in it, and its own two
		}
	}
	return n
}

// capProcesses caps the processes of a command that has not begun. The kernel counts those of the
// command's user. Of what is in a user namespace it counts those in there, so the others, as of
// when the server began, are taken off.
func (k *Keeper) capProcesses(pid int, isApart bool) error {
	if k.maxProcesses == 0 {
		return nil
	}
	n := k.maxProcesses
	if isApart {
		n -= min(k.threadsAtOpen, n/2)
	}
	limit := unix.Rlimit{Cur: n, Max: n}
	err := unix.Prlimit(pid, unix.RLIMIT_NPROC, &limit, nil)
	if errors.Is(err, unix.EPERM) && os.Geteuid() == 0 { // root without CAP_SYS_RESOURCE, as in containers: for another user it cannot
		return nil
	}
	if err != nil {
		return fmt.Errorf("limit of processes: %w", err)
	}
	return nil
}
