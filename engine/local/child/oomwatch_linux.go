package child

import (
	"golang.org/x/sys/unix"
)

// OOMWatch notices whether the machine runs out of memory. Kills in a control group that is at its
// limit do not count.
type OOMWatch struct {
	kills int
	log   int // /dev/kmsg from its end; -1: not readable
}

// WatchOOM begins to watch. Call Close afterwards.
func WatchOOM() *OOMWatch {
	w := &OOMWatch{kills: OOMKills(), log: -1}
	fd, err := openKernelLog()
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

// RanOut reports whether the kernel has killed a process since WatchOOM because the machine had no
// memory left. If the kernel's log is not readable, any kill for lack of memory counts.
func (w *OOMWatch) RanOut() bool {
	if OOMKills() <= w.kills {
		return false
	}
	if w.log < 0 {
		return true
	}
	ranOut, _ := kernelLogged(w.log, machineOOM)
	return ranOut
}

// machineOOM is in the log's record of a kill for lack of the machine's memory (mm/oom_kill.c). For
// that of a control group the record has "Memory cgroup out of memory".
const machineOOM = ";Out of memory: Killed process "
