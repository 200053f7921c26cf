package local

import (
	"errors"
	"fmt"

	"paas/engine/local/child"
	"paas/engine/local/limits"
)

// Limiting describes in one line how limits are enforced. It is valid after Open.
func (l *Local) Limiting() string { return limits.Describe(l.limiter, child.CapsMemory) }

// limit applies want to c, as far as this machine can, and returns the limits in force.
func (l *Local) limit(c *child.Command, want limits.Limits) (inForce limits.Limits, err error) {
	inForce = l.limiter.Holds(want)
	if inForce != (limits.Limits{}) {
		g, err := l.limiter.Group(c.Name, inForce)
		if err != nil {
			return inForce, fmt.Errorf("limits: %w", err)
		}
		// First, because other confinements may hide the group's files from the process.
		c.Under = append([]child.Confinement{g}, c.Under...)
		rest, free := c.Gone, l.freeing(c.Name, g)
		c.Gone = func() {
			free()
			rest()
		}
	}
	if inForce.Memory == 0 && want.Memory > 0 && child.CapsMemory {
		c.MaxMemory, inForce.Memory = want.Memory, want.Memory
	}
	return inForce, nil
}

func (l *Local) freeing(name string, g limits.Group) func() {
	return func() {
		if err := g.Close(); err != nil {
			l.Log.Error("limits: cannot remove a group", "command", name, "err", err)
		}
	}
}

// buildGroup returns the group for one command of a build, which leaves processors and disks to
// others. The caller's thread may have only the app's rights to files.
func (l *Local) buildGroup() (child.Confinement, func(), error) {
	var g limits.Group
	var err error
	onOtherThread(func() {
		if g, err = l.limiter.Group("build", limits.Limits{Memory: l.BuildMemory}); err != nil {
			return
		}
		if err = g.Lower(); err != nil {
			err = errors.Join(err, g.Close())
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("limits: %w", err)
	}
	free := l.freeing("build", g)
	return g, func() { onOtherThread(free) }, nil
}

// onOtherThread runs f on another thread, and blocks until it has ended.
func onOtherThread(f func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
	}()
	<-over
}
