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

// appLoop is the goroutine of one app, and what only that goroutine knows: which release runs, and
// how it is. Everything that takes time happens on other goroutines, which report through post.
type appLoop struct {
	rt    *Runtime
	app   volume.App
	log   *slog.Logger
	poked chan struct{} // holds one: several pokes count as one
	posts chan func()
	ended chan struct{}

	settings  volume.Wanted         // as last read
	checked   time.Time             // when rewrite last checked the files that the runtime writes
	read      bool                  // they were read from the volume
	guessed   bool                  // they come from the live release: see readWanted
	said      map[string]string     // the last error that was logged, by what could not be done
	shown     visible               // what the front was told last
	live      *instance             // has the traffic; nil: nothing has
	standby   *instance             // had the traffic before; while live is not accepted yet
	deploying *deploy               // the release that is built, booted or proved now; nil: none
	processes retry                 // of processes.json
	pending   map[int]volume.Status // final states that are not on the volume yet, by release
	verdicts  retry                 // of pending
	leaving   map[*member]struct{}  // processes that are being stopped
	oneOffs   []volume.Process      // one-off commands, as processes.json has them
	crontab   crontab
	sleeper   sleeper
	stopping  sync.WaitGroup
	units     units
	rename    rename
	born      string // identity: an app may be destroyed and another made with its name
}

func newLoop(rt *Runtime, app volume.App) *appLoop {
	a := &appLoop{
		rt: rt, app: app, log: rt.Log.With("app", app.Name),
		poked: make(chan struct{}, 1), posts: make(chan func()), ended: make(chan struct{}),
		pending: map[int]volume.Status{}, leaving: map[*member]struct{}{},
		said: map[string]string{},
	}
	a.crontab.loop, a.sleeper.loop = a, a
	a.rename = newRename()
	a.units = units{
		loop: a, members: map[seat]*member{}, specs: map[engine.UnitName]engine.Unit{},
		refused: map[engine.UnitName]refused{},
	}
	a.processes = retry{loop: a, doing: "write processes.json"}
	a.verdicts = retry{loop: a, doing: "record the state of a release"}
	a.crontab.saving = retry{loop: a, doing: "write cron.json"}
	a.sleeper.saving = retry{loop: a, doing: "record whether the app is asleep"}
	return a
}

// poke has the goroutine reconcile soon. It does not block.
func (a *appLoop) poke() {
	select {
	case a.poked <- struct{}{}:
	default:
	}
}

// post runs f on the app's goroutine. It returns false, without running f, if the goroutine has
// ended.
func (a *appLoop) post(f func()) bool {
	select {
	case a.posts <- f:
		return true
	case <-a.ended:
		return false
	}
}

func (a *appLoop) run(ctx context.Context) {
	defer a.rename.over()
	a.resume(ctx)
	for a.there() {
		a.reconcile(ctx)
		a.park(ctx)
		if ctx.Err() != nil {
			a.stop()
			return
		}
		begun, _ := a.rt.handover.signals()
		if isClosed(begun) {
			begun = nil // it is known
		}
		select {
		case <-ctx.Done():
		case <-begun:
		case <-a.poked:
		case f := <-a.posts:
			f()
		}
	}
	if now, renamed := a.rt.Volume.NewName(a.app.Name); renamed {
		a.handOver(ctx, now)
		return
	}
	a.log.Info("destroyed")
	a.rt.Front.Remove(a.app.Name)
	a.shutDown()
}

// there reports whether the app still exists and is the one that this loop is for. If its identity
// cannot be read now, it does. A damaged identity is written again.
func (a *appLoop) there() bool {
	id, err := a.app.Identity()
	if volume.IsDamage(err) {
		a.underTurn(func() error { return a.app.SetIdentity(a.born) })
		id, err = a.app.Identity()
	}
	if err == nil && a.born == "" {
		a.born = id
	}
	return err != nil || id != "" && id == a.born
}

// underTurn repairs something of the app, unless somebody deploys it: a deploy makes the same
// repairs.
func (a *appLoop) underTurn(repair func() error) {
	const doing = "repair the app"
	done, ok := a.app.TryTurn("the server's repair")
	if !ok {
		return
	}
	defer done()
	if err := repair(); err != nil {
		a.complain(doing, err)
		return
	}
	a.works(doing)
}

// end stops everything but the live and the standby release: the clocks, and a deploy.
func (a *appLoop) end() {
	close(a.ended)
	a.crontab.stop()
	a.sleeper.stop()
	if d := a.deploying; d != nil {
		d.cancel()
		<-d.finished
		if !d.switched || d.fallen != nil {
			a.retire(d.instance)
		}
	}
}

// stop ends the loop because the server ends.
func (a *appLoop) stop() {
	if a.rt.handover.hasLeft() {
		a.leaveAll()
	} else {
		a.shutDown()
	}
}

// shutDown stops all processes of the app and waits until they have ended.
func (a *appLoop) shutDown() {
	a.end()
	a.retire(a.live)
	a.retire(a.standby)
	a.stopping.Wait()
	if a.there() {
		a.app.SetProcesses(nil)
	}
}

// resume prepares what was live when the server last ran.
func (a *appLoop) resume(ctx context.Context) {
	a.underTurn(a.app.Repair)
	a.announce()
	a.units.adopt()
	a.repair()
	a.crontab.load(ctx)
	a.sleeper.load()
	a.takeUp()
	a.saveProcesses()
}

// takeUp makes the live release the one that runs, if none does yet.
func (a *appLoop) takeUp() {
	if a.live != nil || a.deploying != nil {
		return
	}
	if n := a.app.Live(); n > 0 && !a.onlyFiles(n) {
		a.live = newInstance(a, n)
	}
}

// repair makes the recorded states agree with the link live, in case a server died between writing
// them. A release is recorded as live only after the one before it was recorded as retired. So if
// the live one is recorded as live there is nothing to do; otherwise the walk back ends at the one
// before.
func (a *appLoop) repair() {
	live := a.app.Live()
	now, err := a.app.Status(live)
	if live == 0 || err == nil && now.State == volume.Live && !now.At.IsZero() {
		return
	}
	for n, err := range a.app.Back(live - 1) {
		var s volume.Status
		if err == nil {
			s, err = a.app.Status(n)
		}
		if err != nil {
			a.complain("read the history", err)
			break
		}
		if s.State == volume.Live || !s.State.Over() {
			a.conclude(n, volume.Status{State: volume.Retired, Proved: s.Proved})
		}
		if s.State == volume.Live || s.State == volume.Retired {
			break
		}
	}
	a.conclude(live, volume.Status{State: volume.Live, Proved: now.Proved})
}

// announce tells the front about the app before any of its processes run.
func (a *appLoop) announce() {
	state := Starting
	n := a.app.Live()
	settings, err := a.readWanted()
	if err == nil {
		a.settings = settings
	}
	r, unread := a.app.Release(n)
	if unread == nil && !r.OnlyFiles() {
		_, unread = a.app.BuiltOf(r)
	}
	if volume.IsDamage(unread) { // nothing can be started
		n = 0
	}
	if n == 0 || a.onlyFiles(n) || err == nil && settings.Stopped == n {
		state = Down
	} else if z, unread := a.app.Asleep(); err == nil && unread == nil && z.Holds(settings, n) {
		state = Asleep
	}
	a.show(nil, state)
}

// reconcile compares the volume with what runs, and starts and stops what differs.
func (a *appLoop) reconcile(ctx context.Context) {
	if a.verdicts.due() {
		a.writeVerdicts()
	}
	if a.sleeper.saving.due() {
		a.sleeper.record()
	}
	oneOffs := a.rt.oneOffsOf(a.app.Name)
	if a.processes.due() || !slices.Equal(numbersOf(a.oneOffs), numbersOf(oneOffs)) {
		a.saveProcesses()
	}
	if a.app.Live() == 0 && a.live != nil {
		a.underTurn(a.app.Repair)
	}
	a.takeUp()
	a.rewrite()
	if a.live != nil {
		a.adjust(ctx)
	} else if w, err := a.readWanted(); err == nil {
		a.settings = w
	}
	a.showRules()
	if a.live == nil && a.deploying == nil {
		a.units.adoptedAll(a.grace())
	}
	if d := a.deploying; d != nil {
		d.step()
		return
	}
	a.yield()
	if begun, _ := a.rt.handover.signals(); isClosed(begun) { // the next server deploys
		return
	}
	open, err := a.app.Open()
	if err != nil {
		a.complain("read the history", err)
		return
	}
	a.works("read the history")
	for _, n := range open {
		if _, pending := a.pending[n]; pending || a.live != nil && n <= a.live.n {
			continue
		}
		release, err := a.app.Release(n)
		if volume.IsDamage(err) {
			a.conclude(n, volume.Status{State: volume.Failed, Reason: err.Error(), Remedy: volume.RemedyOf(err)})
			continue
		}
		if err != nil {
			a.complain("read a release", err)
			return
		}
		status, cancelled := a.app.Cancelled(n)
		switch {
		case release.OnlyFiles(): // the maker makes it live
			continue
		case cancelled:
			a.conclude(n, status)
			continue
		case a.abandoned(n):
			a.conclude(n, a.app.CancelledFor(n, cutOff))
			continue
		}
		a.startDeploy(ctx, n)
		return
	}
}

// onlyFiles reports whether release n is no more than files, which another program runs.
func (a *appLoop) onlyFiles(n int) bool {
	r, err := a.app.Release(n)
	return err == nil && r.OnlyFiles()
}

// yield stops what runs after a release that another program runs has become the live one.
func (a *appLoop) yield() {
	if a.live == nil || a.app.Live() == a.live.n || !a.onlyFiles(a.app.Live()) {
		return
	}
	a.log.Info("mode worktree: the app is not run from here any more", "release", a.app.Live())
	was := a.live
	a.live = nil
	a.sleeper.end()
	a.sleeper.stop()
	a.crontab.halt(errOnlyFiles)
	a.retireMembers(was.sorted(), a.route())
	a.saveProcesses()
}

// cutOff is the reason for cancelling a release whose maker has died.
const cutOff = "cut off before its commit"

// abandoned reports whether the maker of release n has died, so that nobody will commit or cancel
// it. Then nobody has the app's turn, or somebody else has it and has made a newer release.
func (a *appLoop) abandoned(n int) bool {
	if a.app.Committed(n) {
		return false
	}
	last, err := a.app.Last()
	return err == nil && n < last || !a.app.TurnHeld()
}

// retire stops an instance in the background. i may be nil.
func (a *appLoop) retire(i *instance) {
	if i != nil {
		a.retireMembers(i.sorted(), nil)
	}
}

const standby = "standby" // state of a process that runs while its release has no traffic

func (a *appLoop) saveProcesses() {
	var list []volume.Process
	if a.live != nil {
		for _, m := range a.live.sorted() {
			list = append(list, m.status)
		}
	}
	if a.standby != nil {
		for _, m := range a.standby.sorted() {
			status := m.status
			if status.State == string(Running) {
				status.State = standby
			}
			list = append(list, status)
		}
	}
	for m := range a.leaving {
		list = append(list, m.status)
	}
	a.oneOffs = a.rt.oneOffsOf(a.app.Name)
	list = append(list, a.oneOffs...)
	slices.SortStableFunc(list, func(a, b volume.Process) int {
		return comparePlaces(place{a.Type, a.Index}, place{b.Type, b.Index})
	})
	a.processes.ended(a.app.SetProcesses(list))
}

// numbersOf returns the numbers of one-off commands.
func numbersOf(list []volume.Process) (numbers []int) {
	for _, p := range list {
		numbers = append(numbers, p.Index)
	}
	return numbers
}
