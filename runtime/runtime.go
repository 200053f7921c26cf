package runtime

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"paas/engine"
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

	// PassEnv names the server's own environment variables that processes may see, besides PATH, LANG, TZ
	// and those for proxies and certificate authorities.
	PassEnv []string

	KeepBuilds int // builds of an app that stay, those that were live most recently; 0: 5

	now      func() time.Time // what the clock on the wall says; nil: time.Now
	oneoffs  oneoffs
	backends backends
	wakes    wakes
}

// Front is what stands before the apps and sends them their requests. Its methods do not block.
type Front interface {
	// Route makes r the app's route. drained closes when nobody waits any more for an answer from an
	// address that is not among those of r.
	Route(r Route) (drained <-chan struct{})

	// Sleep has the app sleep as [Asleep] says if nobody has used it for idle: no request is on its way to one of
	// its processes, and none will be. Otherwise in says when that is to be asked again.
	Sleep(app string, idle time.Duration) (asleep bool, in time.Duration)

	// Remove forgets the app.
	Remove(app string)
}

// Route is where the requests for an app go.
type Route struct {
	App   string
	Hosts []string // hosts that it answers for besides its default one
	Addrs []string // for [Runtime.Dial]: each request goes to the one that has least to do
	State State    // what visitors meet where there are no Addrs
}

// State is what an app's visitors meet.
type State string

const (
	Starting State = "starting" // hold requests: it will answer shortly
	Running  State = "running"  // it answers
	Down     State = "down"     // say so at once: nothing runs, or it keeps failing
	Asleep   State = "asleep"   // hold requests, and call [Runtime.Wake]
)

const lookAgain = time.Minute // the reconciler's round, for what no bell announced

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

// Announce tells the front which apps there are, so that a visitor who comes before Run has looked
// at an app waits for it, and does not hear that there is none.
func (rt *Runtime) Announce() error {
	names, err := rt.Volume.Apps()
	for _, name := range names {
		if app, err := rt.Volume.App(name); err == nil {
			h := newHome(rt, app)
			h.log = slog.New(slog.DiscardHandler) // Run logs what cannot be read
			h.announce()
		}
	}
	return err
}

// Run brings back what is live, then follows the volume until ctx ends, and stops every process
// before it returns.
func (rt *Runtime) Run(ctx context.Context) error {
	homes := &homes{rt: rt, ctx: ctx, apps: map[string]*home{}}
	rt.wakes.begin(homes.wake)
	stop := rt.Volume.Watch(homes.wake)
	defer stop()
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { rt.Engine.Watch(watching, homes.refresh) })
	defer watch.Wait()
	defer unwatch()
	pruner := newPruner(rt)
	var pruning sync.WaitGroup
	pruning.Go(func() { pruner.run(ctx) })
	defer pruning.Wait()
	round := time.NewTicker(lookAgain)
	defer round.Stop()
	for {
		names, err := rt.Volume.Apps()
		if err != nil {
			rt.Log.Error("cannot list the apps", "err", err)
		}
		for _, name := range names {
			homes.wake(name)
			pruner.ask(name)
		}
		select {
		case <-ctx.Done():
			stopped := rt.oneoffs.close()
			homes.close()
			<-stopped
			return nil
		case <-round.C:
		}
	}
}

// homes are the apps' goroutines, each started by the first word of its app.
type homes struct {
	rt     *Runtime
	ctx    context.Context
	mu     sync.Mutex
	closed bool
	apps   map[string]*home
	wait   sync.WaitGroup
}

// close waits until every app has ended; none begins any more.
func (hs *homes) close() {
	hs.mu.Lock()
	hs.closed = true
	hs.mu.Unlock()
	hs.wait.Wait()
}

// refresh has an app take how its processes are now.
func (hs *homes) refresh(name string) {
	hs.mu.Lock()
	h := hs.apps[name]
	hs.mu.Unlock()
	if h != nil {
		h.units.refresh()
	}
}

// wake tells an app's goroutine to compare and act. It never blocks.
func (hs *homes) wake(name string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if volume.CheckName(name) != nil || hs.closed {
		return
	}
	h := hs.apps[name]
	if h == nil {
		app, err := hs.rt.Volume.App(name)
		if err != nil {
			return
		}
		h = newHome(hs.rt, app)
		hs.apps[name] = h
		hs.wait.Go(func() {
			h.run(hs.ctx)
			hs.mu.Lock()
			delete(hs.apps, name)
			hs.mu.Unlock()
			if id, err := app.Identity(); err == nil && id != "" { // made again while the old one was being stopped
				hs.wake(name)
			}
		})
	}
	h.poke()
}
