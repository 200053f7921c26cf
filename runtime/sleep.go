package runtime

import (
	"sync"
	"time"

	"paas/volume"
)

// nap is whether an app sleeps, and when it will. All of it is the app's goroutine's. There is one timer
// while the app is awake, if it is to sleep at all, and none while it sleeps.
type nap struct {
	home  *home
	now   volume.Asleep // it sleeps; zero: it is awake
	idle  time.Time     // since when requests alone keep it awake; zero: something else does
	wake  string        // the settings' token as last seen
	timer *time.Timer   // looks whether it is time

	saving retry // of asleep.json
}

func (n *nap) asleep() bool { return n.now.Release > 0 }

// load takes up whether the app slept when the server last ran.
func (n *nap) load() {
	h := n.home
	z, err := h.app.Asleep()
	if err != nil {
		h.log.Error("cannot tell whether the app is asleep; it is started", "err", err)
		n.record()
	}
	if z.Release == h.app.Live() {
		n.now = z
	}
}

// ended wakes the app where a request, a command or the clock asks for that, and reports whether it did.
func (n *nap) ended(s volume.Wanted) bool {
	h := n.home
	asked := h.rt.wakes.take(h.app.Name)
	if !n.asleep() || !asked && n.now.Holds(s, h.live.n) && !h.crontab.running() {
		return false
	}
	h.log.Info("awake", "release", h.live.n, "request", asked)
	n.end()
	return true
}

// end records that the app is awake.
func (n *nap) end() {
	if !n.asleep() {
		return
	}
	n.now = volume.Asleep{}
	n.record()
}

// record writes down whether the app is asleep.
func (n *nap) record() {
	if n.asleep() {
		n.saving.ended(n.home.app.SetAsleep(n.now))
	} else {
		n.saving.ended(n.home.app.SetAwake())
	}
}

// doze puts the app to sleep where nobody has asked for it for long enough, or looks again when that may be
// so.
func (n *nap) doze() {
	h := n.home
	after := h.settings.Sleep
	if after == 0 || n.asleep() || n.inUse() {
		n.idle = time.Time{}
		n.stop()
		return
	}
	if n.idle.IsZero() || n.wake != h.settings.Wake {
		n.idle, n.wake = time.Now(), h.settings.Wake
	}
	in := time.Until(n.idle.Add(after))
	if in <= 0 {
		var asleep bool
		if asleep, in = h.rt.Front.Sleep(h.app.Name, after); asleep {
			n.begin()
			return
		}
	}
	if n.timer == nil {
		n.timer = time.AfterFunc(in, h.poke)
	} else {
		n.timer.Reset(in)
	}
}

// inUse reports whether something besides requests keeps the app awake: a deploy, a run by the clock, or a
// command that a person runs. An app that does not answer stays awake too: sleep must not hide that.
func (n *nap) inUse() bool {
	h := n.home
	addrs, _ := h.live.traffic()
	return len(addrs) == 0 || h.deploying != nil || h.crontab.running() || len(h.onces) > 0
}

// begin records that an app sleeps to which the front sends nothing any more. Its processes end with the
// next look, unless somebody asks for it before.
func (n *nap) begin() {
	h := n.home
	n.stop()
	now := volume.Asleep{Release: h.live.n, Since: h.rt.clock().UTC(), Wake: n.wake}
	// First: a server that is killed from here on finds it asleep.
	err := h.app.SetAsleep(now)
	n.saving.ended(err)
	if err != nil { // it stays awake until it has been unused for as long again
		n.idle = time.Time{}
		h.route()
		return
	}
	n.now = now
	h.log.Info("asleep", "release", now.Release, "unused", h.settings.Sleep)
	h.poke()
}

func (n *nap) stop() {
	if n.timer != nil {
		n.timer.Stop()
	}
}

// wakes are the apps asleep that a request waits for.
type wakes struct {
	mu      sync.Mutex
	waiting map[string]bool
	poke    func(app string) // has an app look; nil before [Runtime.Run]
}

// Wake starts an app that is asleep, for a request that waits for it. It does not block, and may be called
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

// begin says how an app is had to look, which those waited for before do by themselves.
func (w *wakes) begin(poke func(string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poke = poke
}

// take reports once that a request waits for the app.
func (w *wakes) take(app string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := w.waiting[app]
	delete(w.waiting, app)
	return waits
}
