package child

import (
	"context"
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

// capMemory ends the context with an [Overuse] when the command and its kin use more than max bytes, 0:
// never. stop ends the watch.
//
// It is a soft cap, which needs no privileges: what takes memory faster than it is looked at, or hides
// from its kin, can have more for a moment, and then the kernel's own killer is what is left. The hard
// ones do not serve here. RLIMIT_AS counts what a program reserves: node, Go and Java reserve gigabytes
// that they never touch. RLIMIT_DATA does nearly so, and both are for each process, where a build is a
// family of them. A cgroup is root's to give.
func (c *Child) capMemory(ctx context.Context, max int64) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if max > 0 && CapsMemory {
		go func() {
			tick := time.NewTicker(lookAtMemory)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if used := memory(c.family().find(), max); used > max {
					cancel(Overuse{used, max})
				}
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}
