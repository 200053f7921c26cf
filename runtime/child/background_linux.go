package child

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// background is the Confinement of a [Command] that is to leave processors and disks to others. Everything
// the thread starts inherits both priorities (setpriority(2), ioprio_set(2)); the thread ends with the
// command, so nothing else is started at them.
type background struct{}

// The kernel gives a process of nice 10 about a tenth of the processor time of one of nice 0. More would
// keep a build from ever ending where a worker computes all day.
const (
	backgroundNice = 10
	backgroundIO   = 2<<13 | 7 // the lowest level of the class "best effort"
)

func (b background) Enter(*syscall.SysProcAttr) error { return b.Take(0) } // the calling thread

// Take lowers a process that has not begun, where a [starter] has started it.
func (background) Take(pid int) error {
	const process = 1                                                      // IOPRIO_WHO_PROCESS
	unix.Setpriority(unix.PRIO_PROCESS, pid, backgroundNice)               // refused where the server itself is nicer
	unix.Syscall(unix.SYS_IOPRIO_SET, process, uintptr(pid), backgroundIO) // refused where a filter is in the way
	return nil
}

// lowerAutogroup lowers the session of process pid among all others, until done closes: where the kernel
// groups by sessions (sched(7), "The autogroup feature"), nice counts within one alone. Without root it
// takes one such change each 100 ms.
func lowerAutogroup(pid int, done <-chan struct{}) {
	path := "/proc/" + strconv.Itoa(pid) + "/autogroup"
	for range 50 {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return // it has ended, or this kernel has no such thing
		}
		_, err = f.WriteString(strconv.Itoa(backgroundNice))
		f.Close()
		if !errors.Is(err, unix.EAGAIN) {
			return
		}
		select {
		case <-done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
