package runtime

import (
	"sync"
	"time"

	"paas/volume"
)

// sleeper knows whether an app sleeps, and when it will. It is for the app's goroutine. An app that
// is awake and may sleep costs one timer, a sleeping app none.
type sleeper struct {
	loop  *appLoop
	now   volume.Asleep // since when it sleeps; zero: it is awake
	idle  time.Time     // since when only requests keep it awake; zero: something else does
	wake  string        // token of the last command that woke the app
	timer *time.Timer   // has the app reconcile when it may be time to sleep

	saving retry // of asleep.json
}

func (n *sleeper) asleep() bool { return n.now.Release > 0 }

// load reads whether the app slept when the server last ran.
func (n *sleeper) load() {
	a := n.loop
	z, err := a.app.Asleep()
	if err != nil {
		a.log.Error("cannot tell whether the app is asleep; it is started", "err", err)
		n.record()
	}
	if z.Release == a.app.Live() {
		n.now = z
	}
}

// ended wakes the app if a request, a command or cron asks for it, and reports whether it did.
func (n *sleeper) ended(s volume.Wanted) bool {
	a := n.loop
	asked := a.rt.wakes.take(a.app.Name)
	if !n.asleep() || !asked && n.now.Holds(s, a.live.n) && !a.crontab.running() {
		return false
	}
	a.log.Info("awake", "release", a.live.n, "request", asked)
	n.end()
	return true
}

// end records that the app is awake.
func (n *sleeper) end() {
	if !n.asleep() {
		return
	}
	n.now = volume.Asleep{}
	n.record()
}

// record writes down whether the app is asleep.
func (n *sleeper) record() {
	if n.asleep() {
		n.saving.ended(n.loop.app.SetAsleep(n.now))
	} else {
		n.saving.ended(n.loop.app.SetAwake())
	}
}

// sleepIfIdle puts the app to sleep if it was idle for long enough, or sets the timer for when it
// may be.
func (n *sleeper) sleepIfIdle() {
	a := n.loop
	after := a.settings.Sleep
	if after == 0 || n.asleep() || n.inUse() {
		n.idle = time.Time{}
		n.stop()
		return
	}
	if n.idle.IsZero() || n.wake != a.settings.Wake {
		n.idle, n.wake = time.Now(), a.settings.Wake
	}
	in := time.Until(n.idle.Add(after))
	if in <= 0 {
		var asleep bool
		if asleep, in = a.rt.Front.Sleep(a.app.Name, after); asleep {
			n.begin()
			return
		}
	}
	if n.timer == nil {
		n.timer = time.AfterFunc(in, a.poke)
	} else {
		n.timer.Reset(in)
	}
}

// inUse reports whether something besides requests keeps the app awake: a deploy, a cron run, or a
// one-off command. An app that does not answer stays awake too: sleep must not hide that.
func (n *sleeper) inUse() bool {
	a := n.loop
	addrs, _ := a.live.traffic()
	return len(addrs) == 0 || a.deploying != nil || a.crontab.running() || len(a.oneOffs) > 0
}

// begin records that the app sleeps, after the front has stopped sending requests. Its processes
// are stopped when the app reconciles next, unless somebody has asked for it by then.
func (n *sleeper) begin() {
	a := n.loop
	n.stop()
	now := volume.Asleep{Release: a.live.n, Since: a.rt.clock().UTC(), Wake: n.wake}
	// First: a server that is killed after this finds it asleep.
	err := a.app.SetAsleep(now)
	n.saving.ended(err)
	if err != nil { // it stays awake, and the time begins again
		n.idle = time.Time{}
		a.route()
		return
	}
	n.now = now
	a.log.Info("asleep", "release", now.Release, "unused", a.settings.Sleep)
	a.poke()
}

func (n *sleeper) stop() {
	if n.timer != nil {
		n.timer.Stop()
	}
}

// wakes are the sleeping apps that a request waits for.
type wakes struct {
	mu      sync.Mutex
	waiting map[string]bool
	poke    func(app string) // has an app reconcile; nil before [Runtime.Run]
}

// Wake starts a sleeping app because a request waits for it. It does not block, and may be called
// before Run.
func (rt *Runtime) Wake(app string) {
	w := &rt.wakes
	w.mu.Lock()
	if w.waiting == nil {
		w.waiting = map[string]bool{}
	}
	w.waiting[app] = true
	poke := w.poke
	w.mu.Unlock()
	if poke != nil {
		poke(app)
	}
}

// begin sets how an app is poked. Apps that were woken before need no poke: Run starts with all of
// them.
func (w *wakes) begin(poke func(string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poke = poke
}

// take reports whether a request waits for the app, and forgets it.
func (w *wakes) take(app string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := w.waiting[app]
	delete(w.waiting, app)
	return waits
}
