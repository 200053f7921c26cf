package runtime

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"paas/engine"
	"paas/pause"
	"paas/volume"
)

// Runtime runs every app of a volume.
type Runtime struct {
	Volume *volume.Volume
	Engine engine.Engine
	Front  Front
	Grace  time.Duration // between SIGTERM and SIGKILL; 0: 10 s
	Boot   time.Duration // how long a web process may take to listen; 0: 1 min
	Prove  time.Duration // how long a new release is watched before it is accepted; 0: not at all
	Log    *slog.Logger

	// PassEnv names the server's own environment variables that processes may see, besides PATH,
	// LANG, TZ and those for proxies and certificate authorities.
	PassEnv []string

	KeepBuilds int // how many builds of an app are kept, the last ones that were live; 0: 5

	// building is read-locked from before a build until it is recorded, see [pruner.toolchains].
	building sync.RWMutex

	now      func() time.Time // the wall clock; nil: time.Now
	oneoffs  oneoffs
	found    found
	backends backends
	wakes    wakes
	handover handover
}

// Front sends visitors' requests to the apps. Its methods do not block.
type Front interface {
	// Route replaces the app's route. drained closes when no request is in progress any more at an
	// address that is not in r.
	Route(r Route) (drained <-chan struct{})

	// Sleep sets the state [Asleep] if the app has had no request for idle. Then no request is in
	// progress at any of its processes, and none will be sent. Otherwise the caller should ask
	// again after in.
	Sleep(app string, idle time.Duration) (asleep bool, in time.Duration)

	// Remove forgets the app. drained closes when none of its requests is in progress any more.
	Remove(app string) (drained <-chan struct{})
}

// Route is where the requests for an app go.
type Route struct {
	App    string
	Former []string // names of the app from before; their default hosts are the app's too
	Addrs  []string // for [Runtime.Dial]; each request goes to the least busy
	State  State    // what to do with requests if there are no Addrs

	Names volume.Names // besides the default host
	HTTP2 bool         // the processes speak HTTP/2 without TLS
	Rules volume.Rules
	Pages map[string]string // the app's own error pages as HTML, by name: "503", "maintenance"
}

// State is the state of an app for its visitors.
type State string

const (
	Starting State = "starting" // hold requests: it will answer soon
	Running  State = "running"  // it answers
	Down     State = "down"     // answer with an error: nothing runs, or it keeps crashing
	Asleep   State = "asleep"   // hold requests, and call [Runtime.Wake]
)

// lookAgain is the time between two rounds over all apps, for changes without a bell, and over all
// units of the engine.
const lookAgain = time.Minute

func (rt *Runtime) grace() time.Duration {
	if rt.Grace == 0 {
		return 10 * time.Second
	}
	return rt.Grace
}

func (rt *Runtime) clock() time.Time {
	if rt.now == nil {
		return time.Now()
	}
	return rt.now()
}

// Announce tells the front which apps exist, so that a request that comes before Run has started an
// app waits for it instead of getting an error.
func (rt *Runtime) Announce() error {
	names, err := rt.Volume.Apps()
	for _, name := range names {
		if app, err := rt.Volume.App(name); err == nil {
			a := newLoop(rt, app)
			a.log = slog.New(slog.DiscardHandler) // Run logs what cannot be read
			a.announce()
		}
	}
	return err
}

// Run starts what is live, then follows the volume until ctx ends. Before it returns it stops all
// processes, unless [Runtime.Leave] was called.
func (rt *Runtime) Run(ctx context.Context) error {
	loops := &loops{rt: rt, ctx: ctx, apps: map[string]*appLoop{}}
	rt.wakes.begin(loops.wake)
	stop := rt.Volume.Watch(loops.wake)
	defer stop()
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { rt.watch(watching, loops.refresh) })
	defer watch.Wait()
	defer unwatch()
	rt.adopt(ctx) // first, because what runs needs its build
	pruner := newPruner(rt)
	var pruning sync.WaitGroup
	pruning.Go(func() { pruner.run(ctx) })
	defer pruning.Wait()
	round := time.NewTicker(lookAgain)
	defer round.Stop()
	for {
		begun, over := rt.handover.signals()
		if isClosed(begun) {
			select {
			case <-over:
			case <-ctx.Done():
			}
		}
		names, err := rt.Volume.Apps()
		if err != nil {
			rt.Log.Error("cannot list the apps", "err", err)
		}
		for _, name := range names {
			loops.wake(name)
			pruner.ask(name)
		}
		if err == nil && ctx.Err() == nil {
			loops.dropOthers(names)
		}
		rt.handover.started()
		select {
		case <-ctx.Done():
			if rt.handover.hasLeft() {
				rt.oneoffs.letGo()
			}
			stopped := rt.oneoffs.close()
			loops.close()
			<-stopped
			return nil
		case <-round.C:
		}
	}
}

// watch follows what the engine reports until ctx ends. An engine that cannot be reached is asked
// again every second.
func (rt *Runtime) watch(ctx context.Context, changed func(app string)) {
	for {
		err := rt.Engine.Watch(ctx, changed)
		if ctx.Err() != nil {
			return
		}
		rt.Log.Error("cannot follow the engine", "err", err)
		if pause.For(ctx, time.Second, nil) != nil {
			return
		}
	}
}

// loops are the goroutines of all apps. Each starts when its app is woken for the first time.
type loops struct {
	rt     *Runtime
	ctx    context.Context
	mu     sync.Mutex
	closed bool
	apps   map[string]*appLoop
	wait   sync.WaitGroup
}

// close lets no loop begin any more and waits until all have ended.
func (l *loops) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wait.Wait()
}

// refresh lets an app take note of how its processes are.
func (l *loops) refresh(name string) {
	l.mu.Lock()
	a := l.apps[name]
	l.mu.Unlock()
	if a != nil {
		a.units.refresh()
	}
}

// dropOthers drops the engine's units that nobody wants: others than those that the apps want. names
// are those of all apps.
func (l *loops) dropOthers(names []string) {
	units, err := l.rt.Engine.Units(l.ctx)
	if err != nil {
		if l.ctx.Err() == nil {
			l.rt.Log.Error("cannot ask the engine which units it has", "err", err)
		}
		return
	}
	for _, unit := range units {
		l.mu.Lock()
		a := l.apps[unit.App]
		l.mu.Unlock()
		switch {
		case a != nil:
			a.units.dropIfOther(unit)
		case !slices.Contains(names, unit.App): // it was destroyed while no server ran
			l.rt.dropUnit(unit, l.rt.grace())
		}
	}
}

// before is the loop that still runs the app under a former name; nil: none does.
func (l *loops) before(app volume.App) *appLoop {
	for _, name := range app.Former() {
		if a := l.apps[name]; a != nil {
			return a
		}
	}
	return nil
}

// successor is the loop of an app that has got that name; nil if the server is stopping.
func (l *loops) successor(name string) *appLoop {
	l.wake(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.apps[name]
}

// wake has an app reconcile soon. It never blocks.
func (l *loops) wake(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if volume.CheckName(name) != nil || l.closed || l.ctx.Err() != nil {
		return
	}
	a := l.apps[name]
	if a == nil {
		app, err := l.rt.Volume.App(name)
		if err != nil {
			return
		}
		a = newLoop(l.rt, app)
		a.rename.before, a.rename.successor = l.before(app), l.successor
		l.apps[name] = a
		l.rt.handover.count(1, 0)
		l.wait.Go(func() {
			a.run(l.ctx)
			l.rt.handover.count(-1, 0)
			l.mu.Lock()
			delete(l.apps, name)
			l.mu.Unlock()
			if id, err := app.Identity(); err == nil && id != "" { // another one was made
				l.wake(name)
			}
		})
	}
	a.poke()
}
