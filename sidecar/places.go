package sidecar

import (
	"context"
	"sync"
)

// places bound how many apps do something at once. Apps in trouble, or not known to be sound, have
// places of their own: so only they wait for one that hangs until its deadline.
type places struct{ sound, troubled chan struct{} }

func newPlaces(n int) places {
	return places{make(chan struct{}, n), make(chan struct{}, n)}
}

// take waits for a place and returns what gives it back; calling that again is harmless. The error is
// ctx's. Holding a lock while waiting here would let one app's trouble reach another.
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
