package router

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// instance is one process behind an app, for as long as the app points at it and somebody is
// still being served by it.
type instance struct {
	addr string
	up   *upstream

	users atomic.Int64 // requests and streams; changed with mu held, read without it by choose

	mu      sync.Mutex
	retired bool          // takes no new ones
	cut     bool          // takes no streams either: DrainTimeout is over
	drained chan struct{} // closed when retired and without users, or given up
	timers  []*time.Timer
}

func newInstance(addr string) *instance {
	return &instance{addr: addr, up: &upstream{addr: addr}, drained: make(chan struct{})}
}

// enter counts one more user; false where the instance is retired.
func (i *instance) enter() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.retired {
		return false
	}
	i.users.Add(1)
	return true
}

func (i *instance) leave() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.users.Add(-1) == 0 && i.retired {
		i.closeDrained()
	}
}

// closeDrained is called with mu held.
func (i *instance) closeDrained() {
	for _, t := range i.timers {
		t.Stop()
	}
	i.timers = nil
	if !isDrained(i) {
		close(i.drained)
	}
}

// closed is the answer where there is nothing to wait for.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// drain retires gone, and returns a channel that closes when they are drained, and those that left
// the app before them and have not come back. The caller holds Router.mu.
func (r *Router) drain(a *app, gone instances) <-chan struct{} {
	for _, i := range gone {
		r.retire(i)
	}
	live := *a.live.Load()
	a.leaving = slices.DeleteFunc(append(a.leaving, gone...), func(i *instance) bool {
		return isDrained(i) || live.has(i.addr)
	})
	switch len(a.leaving) {
	case 0:
		a.leaving = nil
		return closed
	case 1:
		return a.leaving[0].drained
	}
	all, waitFor := make(chan struct{}), slices.Clone(a.leaving)
	go func() { // for RequestDrain at most
		for _, i := range waitFor {
			<-i.drained
		}
		close(all)
	}()
	return all
}

func isDrained(i *instance) bool {
	select {
	case <-i.drained:
		return true
	default:
		return false
	}
}

// retire lets no more requests in and sees to it that drained closes.
func (r *Router) retire(i *instance) {
	i.up.close()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.retired = true
	if i.users.Load() == 0 {
		i.closeDrained()
		return
	}
	i.timers = []*time.Timer{
		time.AfterFunc(r.DrainTimeout, func() {
			i.mu.Lock()
			i.cut = true
			i.mu.Unlock()
			r.cutStreams(i)
		}),
		time.AfterFunc(r.RequestDrain, func() {
			i.mu.Lock()
			defer i.mu.Unlock()
			if n := i.users.Load(); n > 0 {
				r.quiet.warn("requests still in flight; no longer waited for", "addr", i.addr, "requests", n)
			}
			i.closeDrained()
		}),
	}
}

// addStream makes x one that a drain ends by calling cut, in place of waiting for it.
func (r *Router) addStream(x *exchange, cut func()) {
	i := x.inst.Load()
	r.streamMu.Lock()
	r.streams[x] = cut
	r.streamMu.Unlock()
	i.mu.Lock()
	late := i.cut
	i.mu.Unlock()
	select {
	case <-r.stopping:
		late = true
	default:
	}
	if late { // it began when the others had already been ended
		cut()
	}
}

func (r *Router) dropStream(x *exchange) {
	r.streamMu.Lock()
	delete(r.streams, x)
	r.streamMu.Unlock()
}

// cutStreams ends the streams of i, all where i is nil, and returns when each client has been told
// or could not be within a second.
func (r *Router) cutStreams(i *instance) {
	var wg sync.WaitGroup
	r.streamMu.Lock()
	for x, cut := range r.streams {
		if i == nil || x.inst.Load() == i {
			wg.Go(func() {
				cut()
				x.leave() // told and closed: the old process may go, even if the client lingers
			})
		}
	}
	r.streamMu.Unlock()
	wg.Wait()
}
