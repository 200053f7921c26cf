package sidecar

import (
	"context"
	"sync"
)

// places bound how many apps do something at once. Apps in trouble, or not known to be sound, have
// places of their own: so only they wait for an app that hangs until its deadline.
type places struct{ sound, troubled chan struct{} }

func newPlaces(n int) places {
	return places{make(chan struct{}, n), make(chan struct{}, n)}
}

// take waits for a place; leave gives it back, and calling it again is harmless. The error is that
// of ctx. A caller must hold no lock, else the trouble of one app would reach another.
func (p places) take(ctx context.Context, troubled bool) (leave func(), err error) {
	queue := p.sound
	if troubled {
		queue = p.troubled
	}
	select {
	case queue <- struct{}{}:
		return sync.OnceFunc(func() { <-queue }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
