package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"paas/formation"
	"paas/runtime/health"
	"paas/say"
	"paas/volume"
)

// takeTraffic gives the app's traffic to the release, which is healthy, and lets it prove itself.
// The release before stands by: its web processes go on, its other processes stop.
func (d *deploy) takeTraffic() {
	a := d.loop
	a.standby, a.live = a.live, d.instance
	d.switched, d.since = true, time.Now()
	d.slept, a.sleeper.now = a.sleeper.now, volume.Asleep{}
	for _, m := range a.live.sorted() {
		m.serve(d.ctx, m.proc)
		go m.follow(d.ctx, m.proc)
	}
	if a.standby != nil {
		a.retireMembers(a.standby.standBy(), nil)
	}
	// First: a visitor who has seen the release answer may list what runs.
	a.saveProcesses()
	a.crontab.promote(a.live)
	d.drained = a.route()
	d.proof, d.proves = a.proof(d.instance, d.settings)
	if a.app.Committed(d.n) { // it was proved before the server was killed
		d.proof = 0
	}
	if d.proof == 0 {
		d.due = true // step goes on
		return
	}
	a.setStatus(d.n, volume.Status{State: volume.Proving, Prove: d.proof})
	d.timer = time.AfterFunc(d.proof, func() { a.post(d.watch) }) // step mostly does it earlier
}

// watch begins the time in which the release proves itself. It begins when all processes have
// started, and at the latest after as long as it lasts: workers wait until those of the release
// before have ended.
func (d *deploy) watch() {
	if d.watched || d.fallen != nil {
		return
	}
	d.watched = true
	d.timer.Stop()
	d.timer = time.AfterFunc(d.proof, func() { d.loop.post(func() { d.due = true }) })
}

// started reports whether all wanted processes have been started.
func (i *instance) started(s volume.Wanted) bool {
	return !slices.ContainsFunc(i.wanted(s), func(p place) bool {
		m := i.members[p]
		return m == nil || m.proc == nil
	})
}

// proved records that the release has not failed in its time.
func (d *deploy) proved() {
	d.ready = true
	d.loop.conclude(d.n, volume.Status{State: volume.Ready, Proved: d.proves})
	d.loop.poke()
}

// standBy removes and returns the processes that must not run beside those of another release.
func (i *instance) standBy() (surplus []*member) {
	return i.drop(func(m *member) bool { return !m.isWeb() })
}

// drop removes and returns the members for which meant is true.
func (i *instance) drop(meant func(*member) bool) (dropped []*member) {
	for _, m := range i.sorted() {
		if meant(m) {
			dropped = append(dropped, m)
			delete(i.members, m.place)
		}
	}
	return dropped
}

// proof returns how long the release has to prove itself before it may be accepted, and whether it
// counts as proved then. Static files cannot crash, and a release that repeats a proved one is
// proved. The time that app.json lets processes run before they get traffic counts too.
func (a *appLoop) proof(i *instance, s volume.Wanted) (watch time.Duration, proves bool) {
	prove := a.rt.Prove
	if s.Prove != nil {
		prove = *s.Prove
	}
	programs, ran := false, prove
	for _, p := range i.wanted(s) {
		if p.isWeb() && i.built.Processes[formation.Web] == "" { // static files
			continue
		}
		programs = true
		ran = min(ran, i.uptime(p.Type))
	}
	switch {
	case a.repeats(i.release):
		return 0, true
	case !programs:
		return 0, false
	}
	return prove - ran, prove > 0
}

// uptime is how long app.json lets a process of the type run before it gets traffic.
func (i *instance) uptime(processType string) (longest time.Duration) {
	for _, c := range i.file.Checks[processType] {
		if c.Type == "" || c.Type == health.Startup {
			longest = max(longest, c.Uptime)
		}
	}
	return longest
}

// repeats reports whether the release repeats a proved one.
func (a *appLoop) repeats(r volume.Release) bool {
	if r.Of == 0 {
		return false
	}
	s, err := a.app.Status(r.Of)
	return err == nil && s.Proved
}

// proving returns the deploy of i if i has the traffic and is not accepted yet; otherwise nil.
func (a *appLoop) proving(i *instance) *deploy {
	if d := a.deploying; d != nil && d.switched && d.instance == i {
		return d
	}
	return nil
}

// breaks reports whether a process has exited that the release needs. A worker that exits with
// status 0 may have done its work; until it is known how it exited, the release needs it.
func (i *instance) breaks() bool {
	i.loop.units.refresh() // the engine may know more than it has reported
	for _, m := range i.members {
		if p := m.proc; m.hasExited() && (m.isWeb() || !isClosed(p.done) || p.Err() != nil) {
			return true
		}
	}
	return false
}

// exited returns how a web process ended that has exited, or nil. It waits until that is known.
func (i *instance) exited() error {
	i.loop.units.refresh()
	for _, m := range i.sorted() {
		if m.isWeb() && m.hasExited() {
			<-m.proc.done
			err := cmp.Or(m.proc.Err(), errExited)
			return fault{fmt.Errorf("%s: %w, after its port answered", m.name, err), hintOf(err)}
		}
	}
	return nil
}

// hintOf returns what to do about a process that has ended with err.
func hintOf(err error) string {
	if errors.Is(err, errExited) {
		return "a process must stay in the foreground: what it leaves in the background ends with it"
	}
	return "look at its last lines, above and in the app's log"
}

// fall gives the traffic back as soon as a web process has exited, and stops the other processes of
// the release. fail follows when it is known how the process ended.
func (d *deploy) fall(m *member) {
	d.fallen = m
	d.giveBack()
	others := d.instance.drop(func(other *member) bool { return other != m })
	d.loop.retireMembers(others, d.drained)
	d.loop.saveProcesses()
}

// fail takes back a release because p, a process of m, has ended, has not started or fails a check.
func (d *deploy) fail(m *member, p *proc, err error) {
	after := fmt.Sprintf(", %d ms after it got the traffic", time.Since(d.since).Milliseconds())
	d.show(func(log *os.File) {
		last := m.lastWords(p) // a stack trace begins with what happened
		if len(last) > 0 {
			say.Step(log, "The last lines of %s", m.name)
		}
		for _, line := range last {
			say.Detail(log, "%s", say.Plain(line, 500))
		}
	})
	d.takeBack(volume.Status{
		State: volume.Failed, Reason: fmt.Sprintf("%s: %v%s", m.name, err, after),
		Hint: hintOf(err), Remedy: volume.RemedyOf(err),
	})
}

// takeBack ends a deploy that is not accepted: the release before gets the traffic again, and its
// other processes start again.
func (d *deploy) takeBack(s volume.Status) {
	a := d.loop
	if d.switched && d.fallen == nil {
		d.giveBack()
	}
	a.deploying = nil
	if d.switched {
		a.crontab.giveBack(a.live, d.n)
	}
	if d.switched && a.live != nil {
		d.show(func(log *os.File) { say.Step(log, "v%d has the traffic again", a.live.n) })
	}
	if d.phases {
		d.show(func(log *os.File) {
			say.Detail(log, "what the release phase of v%d did, to a database for example, "+
				"is not undone", d.n)
		})
	}
	if d.instance != nil {
		a.retireMembers(d.instance.sorted(), d.drained)
	}
	if d.switched {
		a.saveProcesses()
	}
	a.conclude(d.n, s)
	a.log.Info("not deployed", "release", d.n, "state", s.State, "reason", s.Reason)
	a.poke()
}

// giveBack gives the traffic back to the release that had it before. Its web processes still run.
func (d *deploy) giveBack() {
	a := d.loop
	if d.timer != nil {
		d.timer.Stop()
	}
	a.live, a.standby = a.standby, nil
	a.sleeper.now = d.slept
	d.drained = a.route()
}

// show appends to the release's log, which its maker follows.
func (d *deploy) show(write func(log *os.File)) {
	log, err := os.OpenFile(d.loop.app.ReleaseLog(d.n), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return // the disk is full, say; the recorded reason has the most important part
	}
	defer log.Close()
	write(log)
}

// accept makes the release live: the commit of the two-phase push.
func (d *deploy) accept() {
	a := d.loop
	before := a.app.Live()
	// If the link has moved in spite of an error, only a power cut could undo it.
	if err := a.app.SetLive(d.n); err != nil && a.app.Live() != d.n {
		d.takeBack(volume.Status{State: volume.Failed, Reason: "switch: " + err.Error()})
		return
	}
	was := a.standby
	a.deploying, a.standby = nil, nil
	a.sleeper.now = d.slept
	a.sleeper.end()
	if before > 0 { // first, so that nobody sees two live releases
		a.conclude(before, volume.Status{State: volume.Retired, Proved: a.wasProved(before)})
	}
	a.conclude(d.n, volume.Status{State: volume.Live, Proved: d.proves})
	if was != nil {
		a.retireMembers(was.sorted(), d.drained)
	}
	a.saveProcesses()
	a.log.Info("live", "release", d.n)
	a.poke() // the next release may be waiting
}

func (a *appLoop) wasProved(n int) bool {
	s, err := a.app.Status(n)
	return err == nil && s.Proved
}
