package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"paas/logs"
	"paas/volume"
)

// member is one place in the formation of a release that runs: its process, and those that follow
// when that dies.
type member struct {
	in *instance
	place
	name string // for people: "web", or where there are several "web.2"
	out  tee

	mu      sync.Mutex
	proc    Process // the current one; nil before the first start
	born    string  // token of the last ps:restart when it was last started
	stopped bool

	// On the app's goroutine:
	status volume.Process // for ps
	deaths int            // in a row
	began  time.Time      // when it was last found healthy; zero: not since it died
	unfit  bool           // fails its readiness check
	gone   bool           // has exited; how is known soon
	wanted string         // token of the last ps:restart that it was started under or that was tried
	next   *member        // takes its place once healthy: a restart of a web process
	reason error          // why we ended it, to start it again

	hurry chan struct{} // ends the wait for its next start; one place
}

// newMember is a process that has not been started, under the settings as they are now.
func newMember(i *instance, p place, name string, s volume.Wanted) *member {
	m := &member{in: i, place: p, name: name, wanted: s.Restart(p.Type, p.Index), hurry: make(chan struct{}, 1)}
	m.status = volume.Process{
		Type: p.Type, Index: p.Index, Release: i.n, State: string(Starting), Since: time.Now().UTC(), Restart: m.wanted,
	}
	m.born = m.wanted
	m.out.file = &logs.File{Path: filepath.Join(i.home.app.Logs(), p.String()+".log")}
	return m
}

func (m *member) current() Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc
}

// hasExited reports whether the current process has exited. It may not be known yet how.
func (m *member) hasExited() bool {
	p := m.current()
	return p != nil && isClosed(p.Exited())
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// spec is what the engine is to start.
func (m *member) spec() Spec {
	spec := m.in.spec(m.Type, m.Index)
	spec.Out = &m.out
	return spec
}

// start starts the process and waits until it is healthy.
func (m *member) start(ctx context.Context) error {
	for try := 1; ; try++ {
		again, err := m.startOnPort(ctx)
		if err == nil || !again || ctx.Err() != nil {
			return err
		}
		if try == portTries {
			return allTaken(err)
		}
		m.out.file.Note("%v; trying another port", err)
	}
}

// startOnPort is one try of start. again is true where another port may help.
func (m *member) startOnPort(ctx context.Context) (again bool, err error) {
	if m.isStopped() { // before anything is started: the old version must not run beside the new one
		return false, context.Canceled
	}
	m.out.file.Note("v%d starts", m.in.n)
	settings, err := m.in.home.app.Wanted()
	if err != nil && !volume.IsDamage(err) {
		return false, err
	}
	m.mu.Lock()
	if err == nil { // a damaged file keeps nothing from starting
		m.born = settings.Restart(m.Type, m.Index)
	}
	m.mu.Unlock()
	p, err := m.in.home.rt.start(m.spec())
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	m.proc = p
	stopped := m.stopped
	m.mu.Unlock()
	if stopped { // stop came while the process was being started, and missed it
		p.Stop(0)
		m.out.file.Close()
		return false, context.Canceled
	}
	return m.awaitOwnPort(ctx, p)
}

// stop ends the process for good. It blocks for up to grace.
func (m *member) stop(grace time.Duration) {
	m.mu.Lock()
	m.stopped = true
	p := m.proc
	m.mu.Unlock()
	if p != nil {
		p.Stop(grace)
	}
	m.out.file.Close()
}

func (m *member) isStopped() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped
}

// mine reports, on the app's goroutine, whether the member still has its place in the release that
// has the traffic, or in the one that stands by.
func (m *member) mine() bool {
	h := m.in.home
	return (h.live == m.in || h.standby == m.in) && m.in.members[m.place] == m
}

// serving notes that the process runs, and watches it from now on.
func (m *member) serving(ctx context.Context) {
	p := m.current()
	m.count()
	m.status = volume.Process{
		Type: m.Type, Index: m.Index, Release: m.in.n, State: string(Running), PID: p.PID(),
		Since: time.Now().UTC(), Restarts: m.status.Restarts, Restart: m.wanted, Limits: held(p),
	}
	m.unfit, m.gone, m.began = false, false, time.Now()
	go func() {
		<-p.Exited()
		m.in.home.post(func() { m.exited(ctx, p) })
		<-p.Done()
		m.in.home.post(func() { m.ended(ctx, p) })
	}()
	m.keepChecking(ctx, p)
	m.keepPort(p)
}

// exited takes a web process out of the traffic that has just exited. What it leaves behind is still
// being ended, and its output read; on a busy machine that takes a second.
func (m *member) exited(ctx context.Context, p Process) {
	if !m.isWeb() || !m.mine() || m.current() != p || ctx.Err() != nil {
		return
	}
	if d := m.in.home.proving(m.in); d != nil {
		d.fall(m)
		return
	}
	m.gone = true
	m.in.home.route()
}

// ended deals with a process of which nothing is left.
func (m *member) ended(ctx context.Context, p Process) {
	if m.current() != p || ctx.Err() != nil {
		return
	}
	if d := m.in.home.proving(m.in); d != nil && d.fallen == m {
		d.fail(m, m.cause(p))
	} else if m.mine() {
		m.died(ctx, m.cause(p))
	}
}

// count makes sure that a ps:restart is still done that came while the process was being started, which
// may have been under the settings from before.
func (m *member) count() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wanted != m.born {
		m.wanted = m.born
		m.in.home.poke()
	}
}

// cause is why a process that was to go on has ended.
func (m *member) cause(p Process) error {
	err := cmp.Or(m.reason, p.Err(), errExited)
	m.reason = nil
	return err
}

var errExited = errors.New("exited with status 0")

// died deals with the end, or the failed start, of a process of the live release.
func (m *member) died(ctx context.Context, err error) {
	h := m.in.home
	if d := h.proving(m.in); d != nil && (m.isWeb() || err != errExited) { // a worker may have done its work
		d.fail(m, err)
		return
	}
	if !m.began.IsZero() && time.Since(m.began) > stableAfter {
		m.deaths = 0
	}
	m.began = time.Time{}
	select {
	case <-m.hurry: // it was meant for the start that has just failed
	default:
	}
	m.deaths++
	delay := backoff(m.deaths)
	last := m.lastWords(5)
	m.out.file.Note("%v; next start in %s", err, delay.Round(time.Second/100))
	now := time.Now().UTC()
	m.status = volume.Process{
		Type: m.Type, Index: m.Index, Release: m.in.n, State: volume.Crashed, Reason: err.Error(), Since: now,
		Restarts: m.status.Restarts + 1, Next: now.Add(delay), Last: last, Restart: m.wanted,
	}
	h.route()
	h.saveProcesses()
	h.log.Warn("crashed; restarting", "process", m.place.String(), "release", m.in.n, "err", err, "in", delay)
	if m.deaths == 1 { // not each start of a crash loop. Where the disk takes no event, the log has it
		note := fmt.Sprintf("v%d %s: %v", m.in.n, m.place, err)
		h.rt.Volume.Record(volume.RoleApp, volume.Event{By: "server", Did: "crash", App: h.app.Name, Note: note})
	}
	m.revive(ctx, delay)
}

// revive starts the process of the live release after delay, on a goroutine of its own.
func (m *member) revive(ctx context.Context, delay time.Duration) {
	h := m.in.home
	go func() {
		select {
		case <-time.After(delay):
		case <-m.hurry:
		case <-ctx.Done():
			return
		case <-h.ended:
			return
		}
		err := m.start(ctx)
		h.post(func() {
			switch {
			case !m.mine() || ctx.Err() != nil:
				h.stopping.Go(func() { m.stop(0) })
			case err != nil:
				m.count()
				m.died(ctx, err)
			default:
				m.serving(ctx)
				h.route()
				h.saveProcesses()
			}
		})
	}()
}
