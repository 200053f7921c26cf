package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OOMKills is how many processes the kernel has killed for want of memory, cgroup limits included;
// 0 where it does not say.
func OOMKills() (n int) {
	content, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	if at := bytes.Index(content, []byte("\noom_kill ")); at >= 0 {
		fmt.Sscanf(string(content[at:]), "\noom_kill %d", &n)
	}
	return n
}

// oomKilled says whether it was the kernel that ended process pid, for want of memory. The kernel's
// log says it for sure; where that may not be read, that a process was killed for it since the keeper
// last looked must do.
func (k *Keeper) oomKilled(pid int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := OOMKills()
	more := now > k.oomKills
	k.oomKills = now
	if !more {
		return false
	}
	if !firstNamespace() {
		return true
	}
	if named, err := kernelSays(fmt.Sprintf("Killed process %d (", pid)); err == nil {
		return named
	}
	return true
}

// firstNamespace says whether processes have the numbers here by which the kernel's log calls them: those
// of the first PID namespace (PROC_PID_INIT_INO of linux/proc_ns.h).
func firstNamespace() bool {
	name, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && name == "pid:[4026531836]"
}

// kernelSays looks for text in the kernel's log (dev-kmsg in its documentation): one read is one record.
func kernelSays(text string) (bool, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	record := make([]byte, 8<<10)
	for {
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR): // overwritten while we read: the next is there
		case errors.Is(err, unix.EAGAIN) || n == 0 && err == nil:
			return false, nil
		case err != nil:
			return false, err
		case bytes.Contains(record[:n], []byte(text)):
			return true, nil
		}
	}
}
