package sidecar

import "context"

// places bound how many do something at once. Those in trouble, or not known to be sound, have places of their own: what hangs
// until its deadline is then waited for by others that hang, and by nobody else.
type places struct{ sound, troubled chan struct{} }

func newPlaces(n int) places {
	return places{make(chan struct{}, n), make(chan struct{}, n)}
}

// take waits for a place and returns what gives it back. The error is ctx's. Holding a lock while
// waiting here would let one app's trouble reach another.
func (p places) take(ctx context.Context, troubled bool) (leave func(), err error) {
	queue := p.sound
	if troubled {
		queue = p.troubled
	}
	select {
	case queue <- struct{}{}:
		return func() { <-queue }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
