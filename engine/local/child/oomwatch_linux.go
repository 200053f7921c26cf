package child

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// OOMWatch finds out whether the machine itself runs out of memory from its start on. Kills in a
// control group that is at its limit do not count: they are the business of whoever is in it.
type OOMWatch struct {
	kills int
	log   int // /dev/kmsg, from its end on; -1: it may not be read
}

// WatchOOM begins to watch. Close it.
func WatchOOM() *OOMWatch {
	w := &OOMWatch{kills: OOMKills(), log: -1}
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return w
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		unix.Close(fd)
		return w
	}
	w.log = fd
	return w
}

// Close ends the watch.
func (w *OOMWatch) Close() {
	if w.log >= 0 {
		unix.Close(w.log)
	}
}

// RanOut reports whether the kernel has killed a process since the start because the machine had no
// memory left. Where the kernel's log may not be read, a kill for any want of memory must do.
func (w *OOMWatch) RanOut() bool {
	if OOMKills() <= w.kills {
		return false
	}
	record := make([]byte, 8<<10)
	for w.log >= 0 {
		n, err := unix.Read(w.log, record)
		switch {
		case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR): // overwritten while we read: the next is there
		case err != nil || n == 0:
			return false
		case machineOOM(record[:n]):
			return true
		}
	}
	return true
}

// machineOOM reports whether a record of the kernel's log tells of a kill for want of the machine's
// memory (mm/oom_kill.c); "Memory cgroup out of memory" is that of a group.
func machineOOM(record []byte) bool {
	return bytes.Contains(record, []byte(";Out of memory: Killed process "))
}
