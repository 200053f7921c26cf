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

// takeTraffic gives the app's traffic to the release, which is healthy, and begins to watch it. The
// release before stands by: its web processes go on, and everything else of it stops.
func (d *deploy) takeTraffic() {
	h := d.home
	h.standby, h.live = h.live, d.instance
	d.switched, d.since = true, time.Now()
	d.slept, h.nap.now = h.nap.now, volume.Asleep{}
	for _, m := range h.live.sorted() {
		m.serve(d.ctx, m.proc)
		go m.follow(d.ctx, m.proc)
	}
	if h.standby != nil {
		h.retireMembers(h.standby.standBy(), nil)
	}
	// A visitor who sees the release answer may ask what runs, so ps shows it first.
	h.saveProcesses()
	h.crontab.promote(h.live)
	d.drained = h.route()
	d.proof, d.proves = h.proof(d.instance, d.settings)
	if h.app.Committed(d.n) { // it has proved itself, and then the server was killed
		d.proof = 0
	}
	if d.proof == 0 {
		d.due = true // look goes on
		return
	}
	h.setStatus(d.n, volume.Status{State: volume.Proving, Prove: d.proof})
	d.timer = time.AfterFunc(d.proof, func() { h.post(d.watch) }) // look mostly does so before
}

// watch begins the time in which the release proves itself: when all of it has started, or at the
// latest after as long as that time, for workers wait until those of the release before have ended.
func (d *deploy) watch() {
	if d.watched || d.fallen != nil {
		return
	}
	d.watched = true
	d.timer.Stop()
	d.timer = time.AfterFunc(d.proof, func() { d.home.post(func() { d.due = true }) })
}

// started reports whether each process that is wanted has been started.
func (i *instance) started(s volume.Wanted) bool {
	return !slices.ContainsFunc(i.wanted(s), func(p place) bool {
		m := i.members[p]
		return m == nil || m.proc == nil
	})
}

// proved ends the watch over a release that has not failed in that time.
func (d *deploy) proved() {
	d.ready = true
	d.home.conclude(d.n, volume.Status{State: volume.Ready, Proved: d.proves})
	d.home.poke()
}

// standBy takes from the release what must not run beside the one that has the traffic.
func (i *instance) standBy() (surplus []*member) {
	return i.drop(func(m *member) bool { return !m.isWeb() })
}

// drop takes the processes from the release that are meant.
func (i *instance) drop(meant func(*member) bool) (dropped []*member) {
	for _, m := range i.sorted() {
		if meant(m) {
			dropped = append(dropped, m)
			delete(i.members, m.place)
		}
	}
	return dropped
}

// proof is how long the release is watched before it may be accepted, 0 for not at all, and whether it
// has proved itself then. A release of static files cannot die, one that repeats a proved release has
// proved itself, and the time that app.json wants its processes to run before they get traffic counts.
func (h *home) proof(i *instance, s volume.Wanted) (watch time.Duration, proves bool) {
	prove := h.rt.Prove
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
	case h.repeats(i.release):
		return 0, true
	case !programs:
		return 0, false
	}
	return prove - ran, prove > 0
}

// uptime is how long app.json wants a process of the type to run before it gets traffic.
func (i *instance) uptime(processType string) (longest time.Duration) {
	for _, c := range i.file.Checks[processType] {
		if c.Type == "" || c.Type == health.Startup {
			longest = max(longest, c.Uptime)
		}
	}
	return longest
}

// repeats reports whether the release repeats one that has proved itself.
func (h *home) repeats(r volume.Release) bool {
	if r.Of == 0 {
		return false
	}
	s, err := h.app.Status(r.Of)
	return err == nil && s.Proved
}

// proving is the deploy of the release i while it has the traffic and is not accepted yet; nil: i is
// not in that state.
func (h *home) proving(i *instance) *deploy {
	if d := h.deploying; d != nil && d.switched && d.instance == i {
		return d
	}
	return nil
}

// breaks reports whether a process of the release has exited without which it is none, or of which
// is not known yet how.
func (i *instance) breaks() bool {
	i.home.units.refresh() // what the engine knows and has not told yet
	for _, m := range i.members {
		if p := m.proc; m.hasExited() && (m.isWeb() || !isClosed(p.done) || p.Err() != nil) {
			return true
		}
	}
	return false
}

// exited waits for the end of each web process that has exited, and returns how the first of them did.
func (i *instance) exited() error {
	i.home.units.refresh()
	for _, m := range i.sorted() {
		if m.isWeb() && m.hasExited() {
			<-m.proc.done
			err := cmp.Or(m.proc.Err(), errExited)
			return fault{fmt.Errorf("%s: %w, after its port answered", m.name, err), hintOf(err)}
		}
	}
	return nil
}

// hintOf is what to do about a process that has ended with err.
func hintOf(err error) string {
	if errors.Is(err, errExited) {
		return "a process must stay in the foreground: what it leaves in the background ends with it"
	}
	return "look at its last lines, above and in the app's log"
}

// fall gives the traffic back as soon as a web process has exited, and stops the others of the
// release; fail follows once it is known how that one ended.
func (d *deploy) fall(m *member) {
	d.fallen = m
	d.giveBack()
	others := d.instance.drop(func(other *member) bool { return other != m })
	d.home.retireMembers(others, d.drained)
	d.home.saveProcesses()
}

// fail takes back a release of which a process has ended, or fails a check.
func (d *deploy) fail(m *member, err error) {
	after := fmt.Sprintf(", %d ms after it got the traffic", time.Since(d.since).Milliseconds())
	d.show(func(log *os.File) {
		last := m.lastWords(m.proc) // a stack trace begins with what happened
		if len(last) > 0 {
			say.Step(log, "The last lines of %s", m.name)
		}
		for _, line := range last {
			say.Detail(log, "%s", say.Plain(line, 500))
		}
	})
	d.takeBack(volume.Status{State: volume.Failed, Reason: fmt.Sprintf("%s: %v%s", m.name, err, after), Hint: hintOf(err)})
}

// takeBack ends a deploy that is not accepted: the release before has the traffic again, and
// everything else of it starts again.
func (d *deploy) takeBack(s volume.Status) {
	h := d.home
	if d.switched && d.fallen == nil {
		d.giveBack()
	}
	h.deploying = nil
	if d.switched {
		h.crontab.giveBack(h.live, d.n)
	}
	if d.switched && h.live != nil {
		d.show(func(log *os.File) { say.Step(log, "v%d has the traffic again", h.live.n) })
	}
	if d.phases {
		d.show(func(log *os.File) {
			say.Detail(log, "what the release phase of v%d did, to a database for example, is not undone", d.n)
		})
	}
	if d.instance != nil {
		h.retireMembers(d.instance.sorted(), d.drained)
	}
	if d.switched {
		h.saveProcesses()
	}
	h.conclude(d.n, s)
	h.log.Info("not deployed", "release", d.n, "state", s.State, "reason", s.Reason)
	h.poke()
}

// giveBack gives the traffic to the release that had it before, in one step and without a boot.
func (d *deploy) giveBack() {
	h := d.home
	if d.timer != nil {
		d.timer.Stop()
	}
	h.live, h.standby = h.standby, nil
	h.nap.now = d.slept
	d.drained = h.route()
}

// show adds to the release's log, which its maker reads.
func (d *deploy) show(write func(log *os.File)) {
	log, err := os.OpenFile(d.home.app.ReleaseLog(d.n), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return // the disk is full: the verdict says the most important part
	}
	defer log.Close()
	write(log)
}

// accept makes the release live: the commit of the two-phase push.
func (d *deploy) accept() {
	h := d.home
	before := h.app.Live()
	if err := h.app.SetLive(d.n); err != nil && h.app.Live() != d.n { // else only a power cut may undo it
		d.takeBack(volume.Status{State: volume.Failed, Reason: "switch: " + err.Error()})
		return
	}
	was := h.standby
	h.deploying, h.standby = nil, nil
	h.nap.now = d.slept
	h.nap.end()
	if before > 0 { // first, so that nobody sees two live releases
		h.conclude(before, volume.Status{State: volume.Retired, Proved: h.wasProved(before)})
	}
	h.conclude(d.n, volume.Status{State: volume.Live, Proved: d.proves})
	if was != nil {
		h.retireMembers(was.sorted(), d.drained)
	}
	h.saveProcesses()
	h.log.Info("live", "release", d.n)
	h.poke() // the next release may be waiting
}

func (h *home) wasProved(n int) bool {
	s, err := h.app.Status(n)
	return err == nil && s.Proved
}
