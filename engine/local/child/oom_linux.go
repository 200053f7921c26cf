package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OOMKills returns how many processes the kernel has killed for lack of memory, including in
// control groups; 0 if unknown.
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

// oomKilled reports whether the kernel killed process pid for lack of memory. The kernel's log
// knows for sure. If it is not readable, any such kill since the last call counts.
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
	fd, err := openKernelLog()
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	logged, err := kernelLogged(fd, fmt.Sprintf("Killed process %d (", pid))
	return logged || err != nil
}

// firstNamespace reports whether this process sees the process ids of the kernel's log: those of
// the first PID namespace (PROC_PID_INIT_INO in linux/proc_ns.h).
func firstNamespace() bool {
	name, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && name == "pid:[4026531836]"
}

func openKernelLog() (fd int, err error) {
	return unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// kernelLogged looks for text in the rest of the kernel's log (dev-kmsg in its documentation). Each
// read returns one record.
func kernelLogged(fd int, text string) (bool, error) {
	record := make([]byte, 8<<10)
	for {
		n, err := unix.Read(fd, record)
		switch {
		// overwritten meanwhile: go on
		case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) || n == 0 && err == nil:
			return false, nil
		case err != nil:
			return false, err
		case bytes.Contains(record[:n], []byte(text)):
			return true, nil
		}
	}
}

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
