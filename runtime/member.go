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

// member is one place in the formation of a release that runs: its process, and those that the engine starts
// when that ends.
type member struct {
	in *instance
	place
	name string          // for people: "web", or where there are several "web.2"
	unit engine.UnitName // that it is part of

	// With the units locked:
	latest  *proc         // what the engine has started last; nil: nothing yet
	start   int           // which that is
	changed chan struct{} // closed when there is another; then there is another channel
	dropped bool
	letGo   func()      // of its build; nil before it was asked for
	site    *staticSite // nil: it is no static files, or none are served

	gone chan struct{} // closed when nothing of it is left

	// On the app's goroutine, or on that of the deploy before the release has the traffic:
	proc     *proc          // the one that is healthy, or was; nil: none yet
	status   volume.Process // for ps
	restarts int            // of those that had its place before
	deaths   int            // in a row
	left     bool           // has exited; how is known soon
	unfit    bool           // fails its readiness check
	wanted   string         // token of the last ps:restart that it was started under or that was tried
	next     *member        // takes its place once healthy: a restart of a web process
}

// newMember is a process that has not been started, under what is wanted now.
func newMember(i *instance, p place, name string, w volume.Wanted) *member {
	m := &member{
		in: i, place: p, name: name, unit: i.home.units.name(i.n, p.Type), wanted: w.Restart(p.Type, p.Index),
		changed: make(chan struct{}), gone: make(chan struct{}),
	}
	m.status = volume.Process{
		Type: p.Type, Index: p.Index, Release: i.n, State: string(Starting), Since: time.Now().UTC(), Restart: m.wanted,
	}
	return m
}

// again is a process that takes the place of m, in a unit of its own.
func (m *member) again(w volume.Wanted) *member {
	next := newMember(m.in, m.place, m.name, w)
	next.unit = m.in.home.units.beside(m.unit)
	next.restarts, next.status.Restarts = m.status.Restarts, m.status.Restarts
	return next
}

func (m *member) seat() seat { return seat{m.unit, m.Index} }

// hasExited reports whether the process that was healthy has exited. It may not be known yet how.
func (m *member) hasExited() bool { return m.proc != nil && isClosed(m.proc.exited) }

// healthy blocks until another process of the member than after is healthy, or has ended or used up its time:
// then the error says why. nil without an error: there will be none.
func (m *member) healthy(ctx context.Context, after *proc) (*proc, error) {
	for {
		p := m.newer(ctx, after)
		if p == nil {
			return nil, context.Cause(ctx)
		}
		if !p.ran {
			return p, p.exit
		}
		err := health.Await(ctx, subject{m, p}, m.in.file.Checks[m.Type], m.in.home.rt.Boot)
		if err != nil && isClosed(p.done) && p.moved { // to another port
			after = p
			continue
		}
		return p, err
	}
}

// begin has the engine run members, and follows them from their first process on.
func (h *home) begin(ctx context.Context, w volume.Wanted, members ...*member) {
	h.units.want(w, members...)
	for _, m := range members {
		go m.follow(ctx, nil)
	}
}

// follow follows what becomes of the member's processes until none will be started any more. p is the one that
// is healthy already; nil: none is.
func (m *member) follow(ctx context.Context, p *proc) {
	h := m.in.home
	if p != nil {
		m.awaitEnd(ctx, p, nil)
	}
	for {
		next, err := m.healthy(ctx, p)
		switch {
		case next == nil || ctx.Err() != nil:
			return
		case err == nil:
			h.post(func() { m.serving(ctx, next) })
		case !isClosed(next.done):
			h.rt.Engine.Restart(context.WithoutCancel(ctx), next.place, err.Error())
		}
		m.awaitEnd(ctx, next, err)
		p = next
	}
}

// awaitEnd blocks until a process of the member has ended, and has the app's goroutine deal with that. err is
// why it was not healthy, nil where it was.
func (m *member) awaitEnd(ctx context.Context, p *proc, err error) {
	h := m.in.home
	<-p.exited
	h.post(func() { m.exited(ctx, p) })
	<-p.done
	h.post(func() { m.ended(ctx, p, cmp.Or(err, p.Err(), errExited)) })
}

// mine reports, on the app's goroutine, whether the member still has its place in the release that
// has the traffic, or in the one that stands by.
func (m *member) mine() bool {
	h := m.in.home
	return (h.live == m.in || h.standby == m.in) && m.in.members[m.place] == m
}

// serving notes that a process of the live release is healthy.
func (m *member) serving(ctx context.Context, p *proc) {
	if !m.mine() || ctx.Err() != nil {
		return
	}
	m.serve(ctx, p)
	m.in.home.route()
	m.in.home.saveProcesses()
}

// serve makes p the process that serves.
func (m *member) serve(ctx context.Context, p *proc) {
	m.proc, m.left, m.unfit = p, false, false
	m.status = volume.Process{
		Type: m.Type, Index: m.Index, Release: m.in.n, State: string(Running), PID: p.place.PID,
		Since: time.Now().UTC(), Restarts: m.status.Restarts, Restart: m.wanted, Limits: p.place.Limits,
	}
	m.keepChecking(ctx, p)
}

// exited takes a web process out of the traffic that has just exited. What it leaves behind is still
// being ended, and its output read; on a busy machine that takes a second.
func (m *member) exited(ctx context.Context, p *proc) {
	if !m.isWeb() || !m.mine() || m.proc != p || m.left || ctx.Err() != nil {
		return
	}
	if d := m.in.home.proving(m.in); d != nil {
		d.fall(m)
		return
	}
	m.left = true
	m.in.home.route()
}

// ended deals with a process of which nothing is left, or which did not start.
func (m *member) ended(ctx context.Context, p *proc, err error) {
	if ctx.Err() != nil || p.moved {
		return
	}
	if d := m.in.home.proving(m.in); d != nil && d.fallen == m {
		d.fail(m, err)
	} else if m.mine() {
		m.died(p, err)
	}
}

var errExited = errors.New("exited with status 0")

// died deals with the end, or the failed start, of a process of the live release. The engine starts the next.
func (m *member) died(p *proc, err error) {
	h := m.in.home
	if d := h.proving(m.in); d != nil && (m.isWeb() || err != errExited) { // a worker may have done its work
		d.fail(m, err)
		return
	}
	at := p.after
	m.left = true
	m.deaths = at.Failures
	m.status = volume.Process{
		Type: m.Type, Index: m.Index, Release: m.in.n, State: volume.Crashed, Reason: err.Error(), Since: time.Now().UTC(),
		Restarts: m.restarts + at.Restarts, Next: at.Next, Last: at.Last[max(0, len(at.Last)-5):], Restart: m.wanted,
	}
	h.route()
	h.saveProcesses()
	h.log.Warn("crashed; restarting", "process", m.place.String(), "release", m.in.n, "err", err, "in", time.Until(at.Next).Round(time.Millisecond))
	if m.deaths == 1 { // not each start of a crash loop. Where the disk takes no event, the log has it
		note := fmt.Sprintf("v%d %s: %v", m.in.n, m.place, err)
		h.rt.Volume.Record(volume.RoleApp, volume.Event{By: "server", Did: "crash", App: h.app.Name, Note: note})
	}
}

// lastWords are the last lines that a process of the member has printed.
func (m *member) lastWords(p *proc) []string {
	if isClosed(p.done) {
		return p.after.Last
	}
	stream, err := m.in.home.rt.Engine.Logs(context.Background(), p.place, false)
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
