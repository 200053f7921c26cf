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

// maxAppProcesses raises the limit of processes and threads of the server's user (RLIMIT_NPROC,
// getrlimit(2)) to the maximum, and returns the limit for each user of its commands; 0: no limit. A
// server that cannot start another thread crashes (newosproc, errno 11), so an eighth, at least 64,
// is left to it.
func maxAppProcesses() uint64 {
	all := min(groupProcesses("/proc/self/cgroup", "/sys/fs/cgroup"),
		number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max"))
	var limit syscall.Rlimit
	// the limit does not apply to root
	if os.Geteuid() != 0 && syscall.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil {
		limit.Cur = limit.Max
		syscall.Setrlimit(unix.RLIMIT_NPROC, &limit)
		all = min(all, limit.Max)
	}
	return appsShare(all)
}

// appsShare returns how many of all processes apps may have.
func appsShare(all uint64) uint64 {
	if all >= math.MaxInt64 { // RLIM_INFINITY
		return 0
	}
	return all - min(max(64, all/8), all/2)
}

// groupProcesses returns how many processes the control groups of this process may have (pids.max,
// systemd's TasksMax). It reads version 2, and version 1 at its usual mount point.
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

// number reads a number from one of the kernel's files. The default is the largest number.
func number(path string) uint64 {
	content, _ := os.ReadFile(path)
	n, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	return n
}

// userThreads counts the processes and threads of the server's user.
func userThreads() (n uint64) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		var process, tasks unix.Stat_t
		if unix.Stat(dir, &process) == nil && int(process.Uid) == os.Geteuid() &&
			unix.Stat(dir+"/task", &tasks) == nil {
			n += uint64(tasks.Nlink) - 2 // one link for each subfolder, and two of its own
		}
	}
	return n
}

// limitProcesses limits the processes of a command that has not begun. The kernel counts all
// processes of the command's user. In a user namespace it counts only those in there, so the number
// outside, as of Open, is subtracted.
func (k *Keeper) limitProcesses(pid int, inNamespace bool) error {
	if k.maxProcesses == 0 {
		return nil
	}
	n := k.maxProcesses
	if inNamespace {
		n -= min(k.threadsAtOpen, n/2)
	}
	limit := unix.Rlimit{Cur: n, Max: n}
	err := unix.Prlimit(pid, unix.RLIMIT_NPROC, &limit, nil)
	if errors.Is(err, unix.EPERM) && os.Geteuid() == 0 {
		return nil // root without CAP_SYS_RESOURCE, as in containers, cannot limit another user
	}
	if err != nil {
		return fmt.Errorf("limit processes: %w", err)
	}
	return nil
}
