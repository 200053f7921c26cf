package child

import "paas/nice"

// backgroundNice is how much nicer than the server a background [Command] is. A process with nice
// 10 gets about a tenth of the processor time of one with nice 0. With less, a build would never
// end while a worker computes all day.
const (
	backgroundNice = 10
	nicest         = 19
)

// toBackground lowers the priority of a command that has just started. Starting it from a nice
// thread would leave no gap, but Go starts one process at a time ([syscall.ForkLock]): while that
// thread waited for a processor, no web process could start.
func (c *Child) toBackground() {
	pid, value := c.PID(), min(nicest, nice.Own()+backgroundNice)
	nice.Group(pid, value)
	nice.Threads(pid, value)
	go nice.Session(pid, value, c.done)
}
