package local

import (
	"errors"
	"fmt"

	"paas/engine/local/child"
	"paas/engine/local/limits"
)

// Limiting says in one line what holds processes to the limits that are set. It counts once the
// engine is open.
func (l *Local) Limiting() string { return limits.Describe(l.limiter, child.CapsMemory) }

// limit has c held to want, as far as this machine can, and says which of it that is.
func (l *Local) limit(c *child.Command, want limits.Limits) (held limits.Limits, err error) {
	held = l.limiter.Holds(want)
	if held != (limits.Limits{}) {
		g, err := l.limiter.Group(c.Name, held)
		if err != nil {
			return held, fmt.Errorf("limits: %w", err)
		}
		c.Under = append([]child.Confinement{g}, c.Under...) // first: others may keep it from its files
		rest, free := c.Gone, l.freeing(c.Name, g)
		c.Gone = func() {
			free()
			rest()
		}
	}
	if held.Memory == 0 && want.Memory > 0 && child.CapsMemory {
		c.MaxMemory, held.Memory = want.Memory, want.Memory
	}
	return held, nil
}

func (l *Local) freeing(name string, g limits.Group) func() {
	return func() {
		if err := g.Close(); err != nil {
			l.Log.Error("limits: a group stays", "command", name, "err", err)
		}
	}
}

// buildGroup is what one command of a build is held in, which leaves processors and disks to
// others. The caller's thread may have no more than the app's rights to files.
func (l *Local) buildGroup() (child.Confinement, func(), error) {
	var g limits.Group
	var err error
	elsewhere(func() {
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
	return g, func() { elsewhere(free) }, nil
}

// elsewhere runs f on another thread, and returns when it has ended.
func elsewhere(f func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
	}()
	<-over
}
