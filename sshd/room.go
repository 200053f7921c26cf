package sshd

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// room holds a number of connections at once. They belong to parties, such as an address or a key,
// and no party gets more than its share. A connection that finds no place waits in line. The line
// is in order of arrival, but a party that has its share is passed by others.
type room[P comparable] struct {
	places, share   int // inside: in all, and of one party
	line, lineShare int // waiting: in all, and of one party

	mu      sync.Mutex
	inside  int
	of      map[P]int // inside; no zeros
	waiting []*waiter[P]
}

type waiter[P comparable] struct {
	party P
	in    chan struct{} // closed when it got a place
}

var (
	errLineFull = errors.New("too many connections at once")
	errWaited   = errors.New("too many connections at once, and none of them ended in time")
)

// enter takes a place for party and returns the function that gives it back; calling that again is
// harmless. It blocks until a place is free or ctx ends, which is errWaited. It is errLineFull where
// too many wait already.
func (r *room[P]) enter(ctx context.Context, party P) (leave func(), err error) {
	w := &waiter[P]{party, make(chan struct{})}
	if !r.queue(w) {
		return nil, errLineFull
	}
	select {
	case <-w.in:
	case <-ctx.Done():
		if r.giveUp(w) {
			return nil, errWaited
		}
	}
	return sync.OnceFunc(func() { r.leave(party) }), nil
}

// queue puts w inside or in line; false where the line is full. Nobody is overtaken: a waiter that
// could enter is not waiting any more.
func (r *room[P]) queue(w *waiter[P]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free(w.party) {
		r.admit(w)
		return true
	}
	alike := 0
	for _, other := range r.waiting {
		if other.party == w.party {
			alike++
		}
	}
	if len(r.waiting) >= r.line || alike >= r.lineShare {
		return false
	}
	r.waiting = append(r.waiting, w)
	return true
}

// giveUp takes w out of the line; false where it got a place meanwhile.
func (r *room[P]) giveUp(w *waiter[P]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waiting, w)
	if i < 0 {
		return false
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	return true
}

func (r *room[P]) leave(party P) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside--
	if r.of[party]--; r.of[party] == 0 {
		delete(r.of, party)
	}
	next := slices.IndexFunc(r.waiting, func(w *waiter[P]) bool { return r.free(w.party) })
	if next >= 0 {
		r.admit(r.waiting[next])
		r.waiting = slices.Delete(r.waiting, next, next+1)
	}
}

// free reports whether party may enter; r.mu is held.
func (r *room[P]) free(party P) bool { return r.inside < r.places && r.of[party] < r.share }

// admit gives w a place; r.mu is held.
func (r *room[P]) admit(w *waiter[P]) {
	if r.of == nil {
		r.of = map[P]int{}
	}
	r.inside++
	r.of[w.party]++
	close(w.in)
}
