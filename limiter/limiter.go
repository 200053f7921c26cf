// Package limiter shares the slots for connections among many clients, and says what counts as one.
package limiter

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
)

// Limiter limits how many slots are in use at once, in total and per key, such as an address.
// Others wait in a queue. The queue is first in, first out, except that keys at their limit are
// passed.
type Limiter[K comparable] struct {
	Max, MaxPerKey           int // in use
	MaxQueue, MaxQueuePerKey int // waiting

	mu    sync.Mutex
	inUse int
	byKey map[K]int // in use; no zeros
	queue []*waiter[K]
}

type waiter[K comparable] struct {
	key      K
	admitted chan struct{} // closed when admitted
}

// The errors of [Limiter.Acquire].
var (
	ErrFull    = errors.New("too many connections at once")
	ErrTimeout = errors.New("too many connections at once, and none ended in time")
)

// New returns a Limiter of max slots. A key may use half of them. The queue has room for everything
// that a CI server starts at once.
func New[K comparable](max int) *Limiter[K] {
	return &Limiter[K]{Max: max, MaxPerKey: (max + 1) / 2, MaxQueue: 4 * max, MaxQueuePerKey: 2 * max}
}

// Network is what one client usually has: an IPv4 address, or the /64 of an IPv6 address. It is the
// zero Prefix for the zero Addr.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	network, _ := addr.Prefix(min(64, addr.BitLen()))
	return network
}

// Acquire takes a slot for key. It blocks until one is free or ctx ends, which is ErrTimeout.
// The error is ErrFull if too many are waiting. release frees the slot; calling it again is
// harmless.
func (l *Limiter[K]) Acquire(ctx context.Context, key K) (release func(), err error) {
	w := &waiter[K]{key, make(chan struct{})}
	if !l.enqueue(w) {
		return nil, ErrFull
	}
	select {
	case <-w.admitted:
	case <-ctx.Done():
		if l.abandon(w) {
			return nil, ErrTimeout
		}
	}
	return sync.OnceFunc(func() { l.release(key) }), nil
}

// enqueue admits w or adds it to the queue. It returns false if the queue is full. It never admits
// w before a waiter that could be admitted, because such a waiter is not in the queue.
func (l *Limiter[K]) enqueue(w *waiter[K]) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.canAdmit(w.key) {
		l.admit(w)
		return true
	}
	alike := 0
	for _, other := range l.queue {
		if other.key == w.key {
			alike++
		}
	}
	if len(l.queue) >= l.MaxQueue || alike >= l.MaxQueuePerKey {
		return false
	}
	l.queue = append(l.queue, w)
	return true
}

// abandon removes w from the queue. It returns false if w was admitted meanwhile.
func (l *Limiter[K]) abandon(w *waiter[K]) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, w)
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	return true
}

func (l *Limiter[K]) release(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse--
	if l.byKey[key]--; l.byKey[key] == 0 {
		delete(l.byKey, key)
	}
	next := slices.IndexFunc(l.queue, func(w *waiter[K]) bool { return l.canAdmit(w.key) })
	if next >= 0 {
		l.admit(l.queue[next])
		l.queue = slices.Delete(l.queue, next, next+1)
	}
}

// Count returns how many slots are in use, and how many are waited for.
func (l *Limiter[K]) Count() (inUse, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inUse, len(l.queue)
}

// canAdmit reports whether key may have another slot. The caller holds l.mu.
func (l *Limiter[K]) canAdmit(key K) bool { return l.inUse < l.Max && l.byKey[key] < l.MaxPerKey }

// admit gives w a slot. The caller holds l.mu.
func (l *Limiter[K]) admit(w *waiter[K]) {
	if l.byKey == nil {
		l.byKey = map[K]int{}
	}
	l.inUse++
	l.byKey[w.key]++
	close(w.admitted)
}
