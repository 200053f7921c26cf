package runtime

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"paas/engine"
	"paas/volume"
)

// home is one app's goroutine and what it alone knows: what runs. Whatever takes time happens on
// other goroutines, which report by post.
type home struct {
	rt    *Runtime
	app   volume.App
	log   *slog.Logger
	poked chan struct{} // newest wins: one place
	posts chan func()
	ended chan struct{}

	settings  volume.Wanted         // as last read
	checked   time.Time             // when the files that the runtime writes were last looked at
	read      bool                  // they were read from the volume
	guessed   bool                  // they were not: see readWanted
	said      map[string]string     // what was last logged of each thing that cannot be done
	live      *instance             // gets the traffic
	standby   *instance             // had it before a release that is not accepted yet; nil: none is
	deploying *deploy               // the release being built, booted, watched, or waiting for its commit
	processes retry                 // of processes.json
	unsaid    map[int]volume.Status // verdicts that a full disk has not taken yet
	verdicts  retry                 // of those
	leaving   map[*member]struct{}  // processes on their way out
	onces     []volume.Process      // commands that people run, as last said
	crontab   crontab
	nap       nap
	stopping  sync.WaitGroup
	units     units
	adopted   []engine.UnitName // what an earlier life of the server left running, until it is taken over or dropped
	born      string            // which app of this name this is: it may be destroyed and made again
}

func newHome(rt *Runtime, app volume.App) *home {
	h := &home{
		rt: rt, app: app, log: rt.Log.With("app", app.Name),
		poked: make(chan struct{}, 1), posts: make(chan func()), ended: make(chan struct{}),
		unsaid: map[int]volume.Status{}, leaving: map[*member]struct{}{}, said: map[string]string{},
	}
	h.crontab.home, h.nap.home = h, h
	h.units = units{home: h, members: map[seat]*member{}, specs: map[engine.UnitName]engine.Unit{}}
	h.processes = retry{home: h, doing: "write processes.json"}
	h.verdicts = retry{home: h, doing: "record the state of a release"}
	h.crontab.saving = retry{home: h, doing: "write cron.json"}
	h.nap.saving = retry{home: h, doing: "record whether the app is asleep"}
	return h
}

// poke asks for another look at the volume.
func (h *home) poke() {
	select {
	case h.poked <- struct{}{}:
	default:
	}
}

// post runs f on the app's goroutine; it says false, having done nothing, where that has ended.
func (h *home) post(f func()) bool {
	select {
	case h.posts <- f:
		return true
	case <-h.ended:
		return false
	}
}

func (h *home) run(ctx context.Context) {
	h.resume()
	for h.there() {
		h.look(ctx)
		select {
		case <-ctx.Done():
			h.shutDown()
			return
		case <-h.poked:
		case f := <-h.posts:
			f()
		}
	}
	h.log.Info("destroyed")
	h.rt.Front.Remove(h.app.Name)
	h.shutDown()
}

// there reports whether the app is still the one that this home is for. Where that cannot be read now,
// it is. An id that is lost is written again.
func (h *home) there() bool {
	id, err := h.app.Identity()
	if volume.IsDamage(err) {
		h.underTurn(func() error { return h.app.SetIdentity(h.born) })
		id, err = h.app.Identity()
	}
	if err == nil && h.born == "" {
		h.born = id
	}
	return err != nil || id != "" && id == h.born
}

// underTurn repairs something of the app, unless somebody is deploying it: they do so themselves.
func (h *home) underTurn(repair func() error) {
	const doing = "repair the app"
	done, ok := h.app.TryTurn("the server's repair")
	if !ok {
		return
	}
	defer done()
	if err := repair(); err != nil {
		h.complain(doing, err)
		return
	}
	h.works(doing)
}

// shutDown stops everything of the app and waits for it.
func (h *home) shutDown() {
	close(h.ended)
	h.crontab.stop()
	h.nap.stop()
	if d := h.deploying; d != nil {
		d.cancel()
		<-d.finished
		if !d.switched || d.fallen != nil {
			h.retire(d.instance)
		}
	}
	h.retire(h.live)
	h.retire(h.standby)
	h.stopping.Wait()
	if h.there() {
		h.app.SetProcesses(nil)
	}
}

// resume brings back what was live when the server last ran.
func (h *home) resume() {
	h.underTurn(h.app.Repair)
	h.announce()
	h.adopt()
	h.repair()
	h.crontab.load()
	h.nap.load()
	h.takeUp()
	h.saveProcesses()
}

// takeUp makes what is live on the volume what runs, if nothing does yet.
func (h *home) takeUp() {
	if h.live != nil || h.deploying != nil {
		return
	}
	if n := h.app.Live(); n > 0 && !h.inPlace(n) {
		h.live = newInstance(h, n)
	}
}

// repair makes the states agree with what is live, where a server died between writing the one and
// the other. A release is called live only after the one before it was called retired: so where the
// live one is, nothing is left to do, and otherwise the walk ends at the one before.
func (h *home) repair() {
	live := h.app.Live()
	now, err := h.app.Status(live)
	if live == 0 || err == nil && now.State == volume.Live && !now.At.IsZero() {
		return
	}
	for n, err := range h.app.Back(live - 1) {
		var s volume.Status
		if err == nil {
			s, err = h.app.Status(n)
		}
		if err != nil {
			h.complain("read the history", err)
			break
		}
		if s.State == volume.Live || !s.State.Over() {
			h.conclude(n, volume.Status{State: volume.Retired, Proved: s.Proved})
		}
		if s.State == volume.Live || s.State == volume.Retired {
			break
		}
	}
	h.conclude(live, volume.Status{State: volume.Live, Proved: now.Proved})
}

// announce tells the front about the app before anything of it runs.
func (h *home) announce() {
	state := Starting
	n := h.app.Live()
	settings, err := h.readWanted()
	r, unread := h.app.Release(n)
	if unread == nil && r.Settings.Mode != volume.InPlace {
		_, unread = h.app.BuiltOf(r)
	}
	if volume.IsDamage(unread) { // nothing can be started
		n = 0
	}
	if n == 0 || h.inPlace(n) || err == nil && settings.Stopped == n {
		state = Down
	} else if z, unread := h.app.Asleep(); err == nil && unread == nil && z.Holds(settings, n) {
		state = Asleep
	}
	h.rt.Front.Route(Route{App: h.app.Name, State: state})
}

// look compares the volume with what runs, and starts what is missing.
func (h *home) look(ctx context.Context) {
	if h.verdicts.due() {
		h.writeVerdicts()
	}
	if h.nap.saving.due() {
		h.nap.record()
	}
	if h.processes.due() || !slices.Equal(onces(h.onces), onces(h.rt.onces(h.app.Name))) {
		h.saveProcesses()
	}
	if h.app.Live() == 0 && h.live != nil {
		h.underTurn(h.app.Repair)
	}
	h.takeUp()
	h.rewrite()
	if h.live != nil {
		h.adjust(ctx)
	}
	if d := h.deploying; d != nil {
		d.look()
		return
	}
	h.yield()
	open, err := h.app.Open()
	if err != nil {
		h.complain("read the history", err)
		return
	}
	h.works("read the history")
	for _, n := range open {
		if _, unsaid := h.unsaid[n]; unsaid || h.live != nil && n <= h.live.n {
			continue
		}
		release, err := h.app.Release(n)
		if volume.IsDamage(err) {
			h.conclude(n, volume.Status{State: volume.Failed, Reason: err.Error()})
			continue
		}
		if err != nil {
			h.complain("read a release", err)
			return
		}
		why, cancelled := h.app.Cancelled(n)
		switch {
		case release.Settings.Mode == volume.InPlace: // its maker goes on with it
			continue
		case cancelled:
			h.conclude(n, volume.Status{State: volume.Cancelled, Reason: why})
			continue
		case h.abandoned(n):
			h.conclude(n, volume.Status{State: volume.Cancelled, Reason: cutOff})
			continue
		}
		h.startDeploy(ctx, n)
		return
	}
}

// inPlace reports whether release n is one of watch mode, which the runtime does not run.
func (h *home) inPlace(n int) bool {
	r, err := h.app.Release(n)
	return err == nil && r.Settings.Mode == volume.InPlace
}

// yield stops what runs once a release of watch mode has become the live one.
func (h *home) yield() {
	if h.live == nil || h.app.Live() == h.live.n || !h.inPlace(h.app.Live()) {
		return
	}
	h.log.Info("watch mode: the app is not run from here any more", "release", h.app.Live())
	was := h.live
	h.live = nil
	h.nap.end()
	h.nap.stop()
	h.crontab.halt(errInPlace)
	h.retireMembers(was.sorted(), h.route())
	h.saveProcesses()
}

// cutOff is why a release is cancelled whose maker has died.
const cutOff = "cut off before its commit"

// abandoned reports whether the maker of release n has died, so that nobody will commit or cancel it:
// nobody has the turn, or somebody else has, for there is a younger release.
func (h *home) abandoned(n int) bool {
	if h.app.Committed(n) {
		return false
	}
	last, err := h.app.Last()
	return err == nil && n < last || !h.app.TurnHeld()
}

// retire stops an instance in the background; it may be nil.
func (h *home) retire(i *instance) {
	if i != nil {
		h.retireMembers(i.sorted(), nil)
	}
}

const standby = "standby" // the state of a process that runs, and whose release has no traffic for now

func (h *home) saveProcesses() {
	var list []volume.Process
	if h.live != nil {
		for _, m := range h.live.sorted() {
			list = append(list, m.status)
		}
	}
	if h.standby != nil {
		for _, m := range h.standby.sorted() {
			status := m.status
			if status.State == string(Running) {
				status.State = standby
			}
			list = append(list, status)
		}
	}
	for m := range h.leaving {
		list = append(list, m.status)
	}
	h.onces = h.rt.onces(h.app.Name)
	list = append(list, h.onces...)
	slices.SortStableFunc(list, func(a, b volume.Process) int {
		return comparePlaces(place{a.Type, a.Index}, place{b.Type, b.Index})
	})
	h.processes.ended(h.app.SetProcesses(list))
}

// onces are the numbers of commands that people run.
func onces(list []volume.Process) (numbers []int) {
	for _, p := range list {
		numbers = append(numbers, p.Index)
	}
	return numbers
}
