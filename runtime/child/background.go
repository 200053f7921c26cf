package child

import (
	"syscall"

	"paas/nice"
)

// background is the Confinement of a [Command] that is to leave processors and disks to others. Everything
// the thread starts inherits that; the thread ends with the command, so nothing else is started by it.
type background struct{}

// backgroundNice is how much nicer it is than the server. The kernel gives a process of nice 10 about a tenth of the processor time of one of nice 0. With less a
// build would never end where a worker computes all day.
const (
	backgroundNice = 10
	nicest         = 19
)

func (b background) Enter(*syscall.SysProcAttr) error { return b.Take(0) } // the calling thread

// Take lowers a process that has not begun, where a [starter] has started it.
func (background) Take(pid int) error {
	nice.Process(pid, min(nicest, nice.Own()+backgroundNice))
	return nil
}
