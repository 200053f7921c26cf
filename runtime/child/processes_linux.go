package child

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// processesOfApps takes for the server all the processes and threads that its user may have (RLIMIT_NPROC of getrlimit(2)), and
// returns how many of them the commands may have that it starts. A server that gets no thread more ends (newosproc,
// errno 11), so some are left to it: an eighth, 64 at least. It returns 0, no cap, for root, who has any number, and where there
// is no limit.
func processesOfApps() uint64 {
	var limit syscall.Rlimit
	if os.Geteuid() == 0 || syscall.Getrlimit(unix.RLIMIT_NPROC, &limit) != nil {
		return 0
	}
	limit.Cur = limit.Max
	syscall.Setrlimit(unix.RLIMIT_NPROC, &limit)
	return shareOfApps(min(limit.Max, groupProcesses("/proc/self/cgroup", "/sys/fs/cgroup")))
}

// shareOfApps is what of all processes is for apps.
func shareOfApps(all uint64) uint64 {
	if all >= math.MaxInt64 { // RLIM_INFINITY
		return 0
	}
	return all - min(max(64, all/8), all/2)
}

// groupProcesses is how many processes the control groups around this process may have (pids.max of cgroup-v2 in the
// kernel's documentation; systemd's TasksMax), of which the server is one.
func groupProcesses(membership, top string) uint64 {
	least := uint64(math.MaxUint64)
	content, _ := os.ReadFile(membership)
	for line := range strings.Lines(string(content)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ; ok && path != "/" && path != "."; path = filepath.Dir(path) {
			max, err := os.ReadFile(filepath.Join(top, path, "pids.max"))
			if n, numberErr := strconv.ParseUint(strings.TrimSpace(string(max)), 10, 64); err == nil && numberErr == nil {
				least = min(least, n)
			}
		}
	}
	return least
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

// capProcesses caps the processes of a command that has not begun. The kernel counts those of the server's user. Of what is in a
// user namespace it counts those in there, so the others, as of when the server began, are taken off.
func (k *Keeper) capProcesses(pid int, isApart bool) error {
	if k.maxProcesses == 0 {
		return nil
	}
	n := k.maxProcesses
	if isApart {
		n -= min(k.threadsAtOpen, n/2)
	}
	limit := unix.Rlimit{Cur: n, Max: n}
	if err := unix.Prlimit(pid, unix.RLIMIT_NPROC, &limit, nil); err != nil {
		return fmt.Errorf("limit of processes: %w", err)
	}
	return nil
}
