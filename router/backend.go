package router

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// backend is one process of an app. It lives while the app's route names it or a request uses it.
type backend struct {
	addr string
	pool *connPool

	inFlight atomic.Int64 // requests, websockets and streams; written with mu held

	mu         sync.Mutex
	retired    bool // accepts no more requests
	streamsCut bool // DrainTimeout is over: streams are cut
	// closed when retired and nothing is in flight, or RequestDrain is over
	drained chan struct{}
	timers  []*time.Timer
}

func newBackend(addr string) *backend {
	return &backend{addr: addr, pool: &connPool{addr: addr}, drained: make(chan struct{})}
}

// acquire counts one more request. It returns false if the backend is retired.
func (b *backend) acquire() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.retired {
		return false
	}
	b.inFlight.Add(1)
	return true
}

func (b *backend) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight.Add(-1) == 0 && b.retired {
		b.closeDrained()
	}
}

// closeDrained stops the timers and closes drained. The caller holds mu.
func (b *backend) closeDrained() {
	for _, t := range b.timers {
		t.Stop()
	}
	b.timers = nil
	if !isDrained(b) {
		close(b.drained)
	}
}

// closedChan is returned where there is nothing to wait for.
var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// drain retires the removed backends. The channel closes when they and those removed earlier have
// drained, unless they are back in the route. The caller holds Router.mu.
func (r *Router) drain(a *app, removed backends) <-chan struct{} {
	for _, b := range removed {
		r.retire(b)
	}
	live := *a.live.Load()
	a.draining = slices.DeleteFunc(append(a.draining, removed...), func(b *backend) bool {
		return isDrained(b) || live.has(b.addr)
	})
	switch len(a.draining) {
	case 0:
		a.draining = nil
		return closedChan
	case 1:
		return a.draining[0].drained
	}
	all, waitFor := make(chan struct{}), slices.Clone(a.draining)
	go func() { // ends after RequestDrain at the latest
		for _, b := range waitFor {
			<-b.drained
		}
		close(all)
	}()
	return all
}

func isDrained(b *backend) bool {
	select {
	case <-b.drained:
		return true
	default:
		return false
	}
}

// retire stops new requests and closes drained once nothing is in flight, or after RequestDrain.
func (r *Router) retire(b *backend) {
	b.pool.close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retired = true
	if b.inFlight.Load() == 0 {
		b.closeDrained()
		return
	}
	b.timers = []*time.Timer{
		time.AfterFunc(r.DrainTimeout, func() {
			b.mu.Lock()
			b.streamsCut = true
			b.mu.Unlock()
			r.cutStreams(b)
		}),
		time.AfterFunc(r.RequestDrain, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if n := b.inFlight.Load(); n > 0 {
				r.throttled.warn("requests still in flight; not waiting any longer",
					"addr", b.addr, "requests", n)
			}
			b.closeDrained()
		}),
	}
}

// addStream registers x as a stream: a drain calls cut instead of waiting for it.
func (r *Router) addStream(x *exchange, cut func()) {
	b := x.backend.Load()
	x.land()
	r.streamMu.Lock()
	r.streams[x] = cut
	r.streamMu.Unlock()
	b.mu.Lock()
	late := b.streamsCut
	b.mu.Unlock()
	select {
	case <-r.stopping:
		late = true
	default:
	}
	if late { // cutStreams may have run before x was registered
		cut()
	}
}

func (r *Router) dropStream(x *exchange) {
	r.streamMu.Lock()
	delete(r.streams, x)
	r.streamMu.Unlock()
}

// cutStreams ends the streams of b, or all streams if b is nil. It blocks for about a second at
// most, while clients are told.
func (r *Router) cutStreams(b *backend) {
	var wg sync.WaitGroup
	r.streamMu.Lock()
	for x, cut := range r.streams {
		if b == nil || x.backend.Load() == b {
			wg.Go(func() {
				cut()
				x.release() // else a client that lingers would keep the old process alive
			})
		}
	}
	r.streamMu.Unlock()
	wg.Wait()
}
