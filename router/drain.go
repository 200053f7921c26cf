package router

import (
	"sync"
	"time"
)

// instance is one process behind an app, for as long as the app points at it and somebody is
// still being served by it.
type instance struct {
	addr string
	up   *upstream

	mu      sync.Mutex
	users   int           // requests and streams
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
	i.users++
	return true
}

func (i *instance) leave() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.users--
	if i.retired && i.users == 0 {
		i.closeDrained()
	}
}

// closeDrained is called with mu held.
func (i *instance) closeDrained() {
	for _, t := range i.timers {
		t.Stop()
	}
	i.timers = nil
	select {
	case <-i.drained:
	default:
		close(i.drained)
	}
}

// closed is the answer where there is nothing to wait for.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// retire lets no more requests in and sees to it that the channel closes; i may be nil.
func (r *Router) retire(i *instance) <-chan struct{} {
	if i == nil {
		return closed
	}
	i.up.close()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.retired = true
	if i.users == 0 {
		i.closeDrained()
		return i.drained
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
			if i.users > 0 {
				r.quiet.warn("requests still in flight; no longer waited for", "addr", i.addr, "requests", i.users)
			}
			i.closeDrained()
		}),
	}
	return i.drained
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
