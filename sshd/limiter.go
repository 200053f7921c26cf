package sshd

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// limiter limits how many connections are in use at once, in total and per key, such as an address.
// Others wait in a queue. The queue is first in, first out, except that keys at their limit are
// passed.
type limiter[K comparable] struct {
	max, maxPerKey           int // in use
	maxQueue, maxQueuePerKey int // waiting

	mu    sync.Mutex
	inUse int
	byKey map[K]int // in use; no zeros
	queue []*waiter[K]
}

type waiter[K comparable] struct {
	key      K
	admitted chan struct{} // closed when admitted
}

var (
	errQueueFull    = errors.New("too many connections at once")
	errQueueTimeout = errors.New("too many connections at once, and none ended in time")
)

// acquire takes a slot for key. It blocks until one is free or ctx ends, which is errQueueTimeout.
// The error is errQueueFull if too many are waiting. release frees the slot; calling it again is
// harmless.
func (l *limiter[K]) acquire(ctx context.Context, key K) (release func(), err error) {
	w := &waiter[K]{key, make(chan struct{})}
	if !l.enqueue(w) {
		return nil, errQueueFull
	}
	select {
	case <-w.admitted:
	case <-ctx.Done():
		if l.abandon(w) {
			return nil, errQueueTimeout
		}
	}
	return sync.OnceFunc(func() { l.release(key) }), nil
}

// enqueue admits w or adds it to the queue. It returns false if the queue is full. It never admits
// w before a waiter that could be admitted, because such a waiter is not in the queue.
func (l *limiter[K]) enqueue(w *waiter[K]) bool {
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
	if len(l.queue) >= l.maxQueue || alike >= l.maxQueuePerKey {
		return false
	}
	l.queue = append(l.queue, w)
	return true
}

// abandon removes w from the queue. It returns false if w was admitted meanwhile.
func (l *limiter[K]) abandon(w *waiter[K]) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, w)
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	return true
}

func (l *limiter[K]) release(key K) {
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

// canAdmit reports whether key may have another slot. The caller holds l.mu.
func (l *limiter[K]) canAdmit(key K) bool { return l.inUse < l.max && l.byKey[key] < l.maxPerKey }

// admit gives w a slot. The caller holds l.mu.
func (l *limiter[K]) admit(w *waiter[K]) {
	if l.byKey == nil {
		l.byKey = map[K]int{}
	}
	l.inUse++
	l.byKey[w.key]++
	close(w.admitted)
}
