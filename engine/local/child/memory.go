package child

import (
	"fmt"
	"time"
)

// Overuse is the error of a command that was killed because it and all it started used too much
// memory.
type Overuse struct{ Used, Max int64 } // bytes

func (o Overuse) Error() string {
	return fmt.Sprintf("used %d MiB of memory; the limit is %d MiB", o.Used>>20, o.Max>>20)
}

// memoryInterval is the time between two checks of a command's memory. A check reads a file or two
// of each process on the machine: about 5 ms for 200 processes.
const memoryInterval = 250 * time.Millisecond

// watchMemory stops the command with an [Overuse] if its processes use more than max bytes. It
// returns when the command has ended.
//
// This limit is soft but needs no privileges: a command that allocates quickly, or hides a process,
// can exceed it for a moment; then only the kernel's OOM killer is left. The hard limits that need
// no privileges do not work: RLIMIT_AS counts reserved memory, of which node, Go and Java reserve
// gigabytes without using them; RLIMIT_DATA nearly does too. And both apply to each process, while
// a build runs many. With control groups, package limits has the kernel enforce the limit.
func (c *Child) watchMemory(max int64) {
	tick := time.NewTicker(memoryInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if used := memory(c.processes().find(), max); used > max {
			c.mu.Lock()
			c.over = Overuse{used, max}
			c.mu.Unlock()
			c.Stop(0)
			return
		}
	}
}
