package runtime

import (
	"context"
	"log/slog"
	"sync"
	"time"

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

	live      *instance // gets the traffic
	deploying *deploy   // the release being built, booted, or waiting for its commit
	stopping  sync.WaitGroup
	born      string // which app of this name this is: it may be destroyed and made again
}

func newHome(rt *Runtime, app volume.App) *home {
	return &home{
		rt: rt, app: app, log: rt.Log.With("app", app.Name),
		poked: make(chan struct{}, 1), posts: make(chan func()), ended: make(chan struct{}),
		born: app.Identity(),
	}
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
	for h.app.Identity() == h.born {
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

// shutDown stops everything of the app and waits for it.
func (h *home) shutDown() {
	close(h.ended)
	if h.deploying != nil {
		h.deploying.cancel()
		<-h.deploying.finished
		h.retire(h.deploying.instance)
	}
	h.retire(h.live)
	h.stopping.Wait()
	if h.app.Identity() == h.born {
		h.app.SetProcesses(nil)
	}
}

// resume brings back what was live when the server last ran.
func (h *home) resume(ctx context.Context) {
	h.announce()
	if n := h.app.Live(); n > 0 {
		h.live = newInstance(h, n)
		h.live.revive(ctx, 0)
	}
}

// announce tells the front about the app before anything of it runs.
func (h *home) announce() {
	condition := Starting
	if h.app.Live() == 0 {
		condition = Down
	}
	h.rt.Front.Route(h.app.Name, "", condition)
}

// look compares the volume with what runs, and starts what is missing.
func (h *home) look(ctx context.Context) {
	if d := h.deploying; d != nil {
		d.look(ctx)
		return
	}
	for _, n := range h.app.Numbers() {
		if h.live != nil && n <= h.live.n {
			continue
		}
		status, err := h.app.Status(n)
		if err != nil {
			h.log.Error("cannot read a release", "release", n, "err", err)
			continue
		}
		switch {
		case status.State.Over():
			continue
		case h.app.Cancelled(n), !h.app.Committed(n) && !h.app.TurnHeld():
			h.setStatus(n, volume.Status{State: volume.Cancelled, Reason: "its pusher left"})
			continue
		}
		h.startDeploy(ctx, n)
		return
	}
}

// promote gives the traffic to d's instance: the commit of the two-phase push.
func (h *home) promote(ctx context.Context, d *deploy) {
	was := h.live
	if err := h.app.SetLive(d.n); err != nil {
		h.setStatus(d.n, volume.Status{State: volume.Failed, Reason: "switch: " + err.Error()})
		h.deploying = nil
		h.retire(d.instance)
		return
	}
	drained := h.rt.Front.Route(h.app.Name, d.instance.addr(), Running)
	h.live, h.deploying = d.instance, nil
	h.setStatus(d.n, volume.Status{State: volume.Live})
	if was != nil {
		h.setStatus(was.n, volume.Status{State: volume.Retired})
		h.stopping.Go(func() {
			<-drained
			was.stop(h.rt.grace())
		})
	}
	h.live.serving(ctx)
	h.log.Info("live", "release", d.n)
}

// retire stops an instance in the background; it may be nil.
func (h *home) retire(i *instance) {
	if i != nil {
		h.stopping.Go(func() { i.stop(h.rt.grace()) })
	}
}

func (h *home) setStatus(n int, s volume.Status) {
	if err := h.app.SetStatus(n, s); err != nil && h.app.Exists() {
		h.log.Error("cannot say how a release stands", "release", n, "state", s.State, "err", err)
	}
}

func (h *home) saveProcesses() {
	var list []volume.Process
	if h.live != nil {
		list = append(list, h.live.process)
	}
	if err := h.app.SetProcesses(list); err != nil && h.app.Exists() {
		h.log.Error("cannot say what runs", "err", err)
	}
}

// backoff is how long to wait before the next start after the given number of deaths in a row.
func backoff(deaths int) time.Duration {
	return min(backoffMax, backoffMin<<min(max(deaths-1, 0), 10))
}
