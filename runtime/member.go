package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"paas/engine"
	"paas/runtime/health"
	"paas/volume"
)

// member is one place in the formation of an instance: its process, and those that the engine
// starts when that one ends.
type member struct {
	in *instance
	place
	name string          // for people: "web", or "web.2" if there are several
	unit engine.UnitName // the unit that it belongs to

	// With the units locked:
	latest  *proc         // the process that the engine started last; nil: none yet
	start   int           // the number of that start
	changed chan struct{} // closes when latest changes, and is replaced
	dropped bool          // it must not run any more
	letGo   func()        // releases its build; nil: it was never wanted
	site    *staticSite   // serves its static files; nil: nothing does

	gone chan struct{} // closed when nothing of it is left

	// For the app's goroutine, or the deploy's before the release has the traffic:
	proc     *proc          // the process that was healthy last; nil: none yet
	status   volume.Process // for ps
	restarts int            // how often the members before it in its place were restarted
	deaths   int            // crashes in a row
	left     bool           // proc has exited
	notReady bool           // proc fails its readiness check
	wanted   string         // token of the last restart that a person asked for and that was begun
	next     *member        // takes its place when healthy: the restart of a web process
}

// newMember returns a member that is not started yet.
func newMember(i *instance, p place, name string, w volume.Wanted) *member {
	m := &member{
		in: i, place: p, name: name,
		unit: i.loop.units.name(i.n, p), wanted: w.Restart(p.Type, p.Index),
		changed: make(chan struct{}), gone: make(chan struct{}),
	}
	m.status = volume.Process{
		Type: p.Type, Index: p.Index, Release: i.n,
		State: string(Starting), Since: time.Now().UTC(), Restart: m.wanted,
	}
	return m
}

// again returns a member that takes the place of m, in a unit of its own.
func (m *member) again(w volume.Wanted) *member {
	next := newMember(m.in, m.place, m.name, w)
	next.unit = m.in.loop.units.beside(m.unit)
	next.restarts, next.status.Restarts = m.status.Restarts, m.status.Restarts
	return next
}

func (m *member) seat() seat { return seat{m.unit, m.Index} }

// hasExited reports whether the process that was healthy has exited. How may not be known yet.
func (m *member) hasExited() bool { return m.proc != nil && isClosed(m.proc.exited) }

// healthy blocks until a process of the member that follows after is healthy, and returns it. If
// that process ends, or uses up its time, it returns it with an error. It returns no process if the
// member is dropped or ctx ends.
func (m *member) healthy(ctx context.Context, after *proc) (*proc, error) {
	for {
		p := m.newer(ctx, after)
		if p == nil {
			return nil, context.Cause(ctx)
		}
		var err error
		if p.ran {
			err = health.Await(ctx, subject{m, p}, m.in.file.Checks[m.Type], m.in.loop.rt.Boot)
		} else {
			<-p.done
			err = p.exit
		}
		if err != nil && isClosed(p.done) && p.moved { // it was started again on another port
			after = p
			continue
		}
		return p, err
	}
}

// begin has the engine run members, and follows their processes.
func (a *appLoop) begin(ctx context.Context, w volume.Wanted, members ...*member) {
	a.units.want(w, members...)
	for _, m := range members {
		go m.follow(ctx, nil)
	}
}

// follow follows the member's processes, one after the other, until the member is dropped. p is
// healthy already; nil: no process is.
func (m *member) follow(ctx context.Context, p *proc) {
	a := m.in.loop
	if p != nil {
		m.awaitEnd(ctx, p, nil)
	}
	for {
		next, err := m.healthy(ctx, p)
		switch {
		case next == nil || ctx.Err() != nil:
			return
		case err == nil:
			a.post(func() { m.serving(ctx, next) })
		case !isClosed(next.done):
			a.rt.Engine.Restart(context.WithoutCancel(ctx), next.place, err.Error())
		}
		m.awaitEnd(ctx, next, err)
		p = next
	}
}

// awaitEnd blocks until p has ended, and posts that it has exited and ended. err says why p was not
// healthy; nil: it was.
func (m *member) awaitEnd(ctx context.Context, p *proc, err error) {
	a := m.in.loop
	<-p.exited
	a.post(func() { m.exited(ctx, p) })
	<-p.done
	a.post(func() { m.ended(ctx, p, cmp.Or(err, p.Err(), errExited)) })
}

// mine reports whether the member still has its place in the release with the traffic, or in the
// one that stands by. For the app's goroutine.
func (m *member) mine() bool {
	a := m.in.loop
	return (a.live == m.in || a.standby == m.in) && m.in.members[m.place] == m
}

// serving notes that p is healthy, and gives it traffic.
func (m *member) serving(ctx context.Context, p *proc) {
	if !m.mine() || ctx.Err() != nil {
		return
	}
	m.serve(ctx, p)
	m.in.loop.route()
	m.in.loop.saveProcesses()
}

// serve makes p the process that serves.
func (m *member) serve(ctx context.Context, p *proc) {
	m.proc, m.left, m.notReady = p, false, false
	since := time.Now().UTC()
	if began := p.place.Since; !began.IsZero() && began.Before(m.status.Since) { // adopted
		since = began
	}
	m.status = volume.Process{
		Type: m.Type, Index: m.Index, Release: m.in.n, State: string(Running), PID: p.place.PID,
		Since: since, Restarts: m.restarts + p.place.Restarts, Restart: m.wanted,
		Limits: p.place.Limits,
	}
	m.keepChecking(ctx, p)
}

// exited takes a web process that has exited out of the traffic. The processes that it started are
// still being ended and its output is being read, which takes a second on a busy machine.
func (m *member) exited(ctx context.Context, p *proc) {
	if !m.isWeb() || !m.mine() || m.proc != p || m.left || ctx.Err() != nil {
		return
	}
	if d := m.in.loop.proving(m.in); d != nil {
		d.fall(m)
		return
	}
	m.left = true
	m.in.loop.route()
}

// ended deals with a process of which nothing is left, or that did not start.
func (m *member) ended(ctx context.Context, p *proc, err error) {
	if ctx.Err() != nil || p.moved {
		return
	}
	if d := m.in.loop.proving(m.in); d != nil && d.fallen == m {
		d.fail(m, p, err)
	} else if m.mine() {
		m.died(p, err)
	}
}

var errExited = errors.New("exited with status 0")

// died records the end of a process of the live release. The engine starts the next one.
func (m *member) died(p *proc, err error) {
	a := m.in.loop
	// A worker that exits with status 0 may have done its work.
	if d := a.proving(m.in); d != nil && (m.isWeb() || err != errExited) {
		d.fail(m, p, err)
		return
	}
	at := p.after
	m.left = true
	m.deaths = at.Failures
	m.status = volume.Process{
		Type: m.Type, Index: m.Index, Release: m.in.n, State: volume.Crashed,
		Reason: err.Error(), Remedy: volume.RemedyOf(err), Since: time.Now().UTC(),
		Restarts: m.restarts + at.Restarts, Restart: m.wanted,
		Next: at.Next, Last: at.Last[max(0, len(at.Last)-5):],
	}
	a.route()
	a.saveProcesses()
	a.log.Warn("crashed; restarting", "process", m.place.String(), "release", m.in.n, "err", err,
		"in", time.Until(at.Next).Round(time.Millisecond))
	if m.deaths == 1 { // only the first of a crash loop
		note := fmt.Sprintf("v%d %s: %v", m.in.n, m.place, err)
		event := volume.Event{By: "server", Did: "crash", App: a.app.Name, Note: note}
		a.rt.Volume.Record(volume.RoleApp, event) // if that fails, the log still has it
	}
}

// lastWords returns the last lines that p has printed.
func (m *member) lastWords(p *proc) []string {
	if isClosed(p.done) {
		return p.after.Last
	}
	stream, err := m.in.loop.rt.Engine.Logs(context.Background(), p.place, false)
	if err != nil { // there are none to show
		return nil
	}
	defer stream.Close()
	text, _ := io.ReadAll(stream)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] == "" && len(lines) == 1 {
		return nil
	}
	return lines[max(0, len(lines)-20):]
}
