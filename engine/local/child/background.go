package child

import "paas/nice"

// backgroundNice is how much nicer than the server a [Command] in the background is. The kernel gives a
// process of nice 10 about a tenth of the processor time of one of nice 0. With less a build would never
// end where a worker computes all day.
const (
	backgroundNice = 10
	nicest         = 19
)

// lower has the command, which has just begun, leave processors and disks to others. A thread that was nice
// before it starts the command would do so without a gap, but Go starts one process at a time
// ([syscall.ForkLock]): while that one waited for a processor, no web process could start.
func (c *Child) lower() {
	pid, value := c.PID(), min(nicest, nice.Own()+backgroundNice)
	nice.Group(pid, value)
	nice.Threads(pid, value)
	go nice.Session(pid, value, c.done)
}
