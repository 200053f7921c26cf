package runtime

import (
	"context"
	"net"
	"time"

	"paas/engine"
)

// proc is one process of a member, from its start to its end.
type proc struct {
	started chan struct{} // closed when it runs, or has failed to start
	exited  chan struct{} // closed when the process itself has ended
	done    chan struct{} // closed when nothing of it is left and it is known how it ended

	// Set before started closes.
	place engine.Place
	ran   bool // it did start

	// Set before done closes.
	exit  engine.Exit
	after engine.Place // the state of its place at its end
	moved bool         // the engine replaced it; it has not failed

	restarts int // of its place when it began
}

func newProc(restarts int) *proc {
	return &proc{
		restarts: restarts,
		started:  make(chan struct{}), exited: make(chan struct{}), done: make(chan struct{}),
	}
}

// Err returns how the process ended, after done; nil for status 0.
func (p *proc) Err() error { return p.exit.Err() }

// begin notes that the process runs.
func (p *proc) begin(at engine.Place) {
	if !isClosed(p.started) {
		p.place, p.ran = at, true
		close(p.started)
	}
}

// end notes that nothing is left of the process.
func (p *proc) end(at engine.Place, exit engine.Exit) {
	if isClosed(p.done) {
		return
	}
	p.exit, p.after = exit, at
	if !isClosed(p.started) {
		p.place, p.ran = at, !at.Since.IsZero()
		close(p.started)
	}
	p.leave()
	close(p.done)
}

// leave notes that the process itself has ended.
func (p *proc) leave() {
	if !isClosed(p.exited) {
		close(p.exited)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// saw takes note of what the engine reports about the member's place. The units are locked.
func (m *member) saw(at engine.Place) {
	if at.Start == 0 {
		return
	}
	if m.start < at.Start {
		if p := m.latest; p != nil && !isClosed(p.done) {
			p.moved = at.Restarts == p.restarts
			m.finish(p, at, at.Exit)
		}
		m.latest, m.start = newProc(at.Restarts), at.Start
		close(m.changed)
		m.changed = make(chan struct{})
	}
	p := m.latest
	switch at.State {
	case engine.Running:
		m.began(p, at)
	case engine.Exited:
		m.began(p, at)
		p.leave()
	case engine.Waiting:
		m.finish(p, at, at.Exit)
	}
}

// refuse notes that the engine cannot be told to run the member, unless it has started a process of
// it. The units are locked.
func (m *member) refuse(reason string) {
	exit := engine.Exit{Reason: reason}
	if m.start > 0 || m.latest != nil && m.latest.exit == exit {
		return
	}
	m.latest = newProc(0)
	m.latest.end(engine.Place{Next: time.Now().Add(retryEvery).UTC()}, exit)
	close(m.changed)
	m.changed = make(chan struct{})
}

// began notes that p runs, and lets visitors be sent to its address.
func (m *member) began(p *proc, at engine.Place) {
	if isClosed(p.started) {
		return
	}
	p.begin(at)
	if at.Addr != "" {
		rt := m.in.loop.rt
		rt.backends.add(m.in.loop.app.Name, at.Addr, func(ctx context.Context) (net.Conn, error) {
			return rt.Engine.Dial(ctx, p.place, 0)
		})
	}
}

// finish notes the end of p, and lets no visitor be sent to it any more.
func (m *member) finish(p *proc, at engine.Place, exit engine.Exit) {
	p.end(at, exit)
	if p.place.Addr != "" {
		m.in.loop.rt.backends.remove(m.in.loop.app.Name, p.place.Addr)
	}
}

// leave notes that nothing of the member is left. The units are locked.
func (m *member) leave() {
	if isClosed(m.gone) {
		return
	}
	if p := m.latest; p != nil {
		m.finish(p, p.place, engine.Exit{Reason: "stopped"})
	}
	if u := &m.in.loop.units; u.members[m.seat()] == m {
		delete(u.members, m.seat())
		m.letGo()
	}
	close(m.gone)
}

// newer blocks until the member has a process that follows after and has started, or failed to, and
// returns it. It returns nil if the member is dropped or ctx ends.
func (m *member) newer(ctx context.Context, after *proc) *proc {
	u := &m.in.loop.units
	for {
		u.mu.Lock()
		p, changed := m.latest, m.changed
		u.mu.Unlock()
		if p != nil && p != after {
			changed = p.started
		}
		select {
		case <-changed:
		case <-m.gone:
			return nil
		case <-ctx.Done():
			return nil
		}
		if p != nil && p != after {
			return p
		}
	}
}
