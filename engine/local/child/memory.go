package child

import (
	"fmt"
	"time"
)

// Overuse is why a command was ended that used more memory than it may, with all it had started.
type Overuse struct{ Used, Max int64 } // bytes

func (o Overuse) Error() string {
	return fmt.Sprintf("used %d MiB of memory, and may have %d MiB", o.Used>>20, o.Max>>20)
}

// lookAtMemory is how often the memory of a command is summed up. A look reads a file or two of each
// process on the machine, about 5 ms where there are 200.
const lookAtMemory = 250 * time.Millisecond

// watchMemory ends the command with an [Overuse] when it and its kin use more than max bytes. It returns
// when the command has ended.
//
// It is a soft cap, which needs no privileges: what takes memory faster than it is looked at, or hides
// from its kin, can have more for a moment, and then the kernel's own killer is what is left. The hard
// ones that need none do not serve. RLIMIT_AS counts what a program reserves: node, Go and Java reserve gigabytes
// that they never touch. RLIMIT_DATA does nearly so, and both are for each process, where a build, and many an
// app, is a family of them. Where there are control groups, package limits has the kernel do it.
func (c *Child) watchMemory(max int64) {
	tick := time.NewTicker(lookAtMemory)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if used := memory(c.family().find(), max); used > max {
			c.mu.Lock()
			c.over = Overuse{used, max}
			c.mu.Unlock()
			c.Stop(0)
			return
		}
	}
}
