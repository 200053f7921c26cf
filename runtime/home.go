package runtime

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

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

	settings  volume.Settings       // as last read
	live      *instance             // gets the traffic
	deploying *deploy               // the release being built, booted, or waiting for its commit
	processes retry                 // of processes.json
	unsaid    map[int]volume.Status // verdicts that a full disk has not taken yet
	verdicts  retry                 // of those
	leaving   map[*member]struct{}  // processes on their way out
	onces     []volume.Process      // commands that people run, as last said
	crontab   crontab
	nap       nap
	stopping  sync.WaitGroup
	born      string // which app of this name this is: it may be destroyed and made again
}

func newHome(rt *Runtime, app volume.App) *home {
	h := &home{
		rt: rt, app: app, log: rt.Log.With("app", app.Name),
		poked: make(chan struct{}, 1), posts: make(chan func()), ended: make(chan struct{}),
		unsaid: map[int]volume.Status{}, leaving: map[*member]struct{}{},
	}
	h.crontab.home, h.nap.home = h, h
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
	h.resume(ctx)
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

// there says whether the app is still the one this home is for. Where that cannot be told now, it is.
func (h *home) there() bool {
	id, err := h.app.Identity()
	if err == nil && h.born == "" {
		h.born = id
	}
	return err != nil || id != "" && id == h.born
}

// shutDown stops everything of the app and waits for it.
func (h *home) shutDown() {
	close(h.ended)
	h.crontab.stop()
	h.nap.stop()
	if h.deploying != nil {
		h.deploying.cancel()
		<-h.deploying.finished
		h.retire(h.deploying.instance)
	}
	h.retire(h.live)
	h.stopping.Wait()
	if h.there() {
		h.app.SetProcesses(nil)
	}
}

// resume brings back what was live when the server last ran.
func (h *home) resume(ctx context.Context) {
	h.announce()
	h.repair()
	h.crontab.load()
	h.nap.load()
	if n := h.app.Live(); n > 0 && !h.inPlace(n) {
		h.live = newInstance(h, n)
	}
	h.saveProcesses()
}

// repair makes the states agree with what is live, where a server died between saying the one and
// the other.
func (h *home) repair() {
	live := h.app.Live()
	for _, n := range h.app.Numbers() {
		s, err := h.app.Status(n)
		switch {
		case err != nil || n > live:
		case n == live && s.State != volume.Live:
			h.conclude(n, volume.Status{State: volume.Live})
		case n < live && (s.State == volume.Live || !s.State.Over()):
			h.conclude(n, volume.Status{State: volume.Retired})
		}
	}
}

// announce tells the front about the app before anything of it runs.
func (h *home) announce() {
	condition := Starting
	n := h.app.Live()
	settings, err := h.app.Settings()
	if n == 0 || h.inPlace(n) || err == nil && settings.Stopped == n {
		condition = Down
	} else if z, unread := h.app.Asleep(); err == nil && unread == nil && z.Holds(settings, n) {
		condition = Asleep
	}
	h.rt.Front.Route(h.app.Name, nil, condition)
}

// look compares the volume with what runs, and starts what is missing.
func (h *home) look(ctx context.Context) {
	if h.verdicts.due() {
		for n, s := range h.unsaid {
			h.conclude(n, s)
		}
	}
	if h.nap.saving.due() {
		h.nap.forget()
	}
	if h.processes.due() || !slices.Equal(onces(h.onces), onces(h.rt.onces(h.app.Name))) {
		h.saveProcesses()
	}
	if h.live != nil {
		h.adjust(ctx)
	}
	if d := h.deploying; d != nil {
		d.look(ctx)
		return
	}
	h.yield()
	for _, n := range h.app.Numbers() {
		if _, unsaid := h.unsaid[n]; unsaid || h.live != nil && n <= h.live.n {
			continue
		}
		status, err := h.app.Status(n)
		if err == nil && status.State.Over() {
			continue
		}
		release, readErr := h.app.Release(n)
		if err := errors.Join(err, readErr); err != nil {
			h.log.Error("cannot read a release", "release", n, "err", err)
			continue
		}
		why, cancelled := h.app.Cancelled(n)
		switch {
		case release.Settings.Mode == volume.InPlace: // it is for who made it to go on with
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

// inPlace says whether release n is one of watch mode, which is not for us to run.
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

// cutOff is why a release is cancelled that nobody has: who made it died.
const cutOff = "cut off before its commit"

// abandoned says whether nobody is going to commit or cancel release n: nobody has the turn, or
// somebody else has, for there is a younger release.
func (h *home) abandoned(n int) bool {
	if h.app.Committed(n) {
		return false
	}
	numbers := h.app.Numbers()
	return len(numbers) > 0 && n < numbers[len(numbers)-1] || !h.app.TurnHeld()
}

// promote gives the traffic to d's instance: the commit of the two-phase push.
func (h *home) promote(ctx context.Context, d *deploy) {
	was, before := h.live, h.app.Live()
	if err := h.app.SetLive(d.n); err != nil {
		h.conclude(d.n, volume.Status{State: volume.Failed, Reason: "switch: " + err.Error()})
		h.deploying = nil
		h.retire(d.instance)
		return
	}
	h.live, h.deploying = d.instance, nil
	h.nap.end()
	for _, m := range h.live.sorted() {
		m.serving(ctx)
	}
	// Who hears that it is live, or sees it answer, looks at what runs: that is said first.
	h.saveProcesses()
	h.crontab.promote(h.live)
	drained := h.route()
	if before > 0 { // first: who hears that the new one is live finds no other that says so
		h.conclude(before, volume.Status{State: volume.Retired})
	}
	h.conclude(d.n, volume.Status{State: volume.Live})
	if was != nil {
		h.retireMembers(was.sorted(), drained)
		h.saveProcesses()
	}
	h.log.Info("live", "release", d.n)
}

// retire stops an instance in the background; it may be nil.
func (h *home) retire(i *instance) {
	if i != nil {
		h.retireMembers(i.sorted(), nil)
	}
}

func (h *home) saveProcesses() {
	var list []volume.Process
	if h.live != nil {
		for _, m := range h.live.sorted() {
			list = append(list, m.status)
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
