package toolchain

import (
	"context"
	"sync"
)

// turns lets one call at a time work on each name.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when the turn is over
}

// take waits until nobody works on name, or ctx ends; it calls waits first if somebody does. Call
// done after the work.
func (t *turns) take(ctx context.Context, name string, waits func()) (done func(), err error) {
	for waited := false; ; waited = true {
		t.mu.Lock()
		over, taken := t.taken[name]
		if !taken {
			over = make(chan struct{})
			if t.taken == nil {
				t.taken = map[string]chan struct{}{}
			}
			t.taken[name] = over
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.taken, name)
				close(over)
			}, nil
		}
		t.mu.Unlock()
		if !waited {
			waits()
		}
		select {
		case <-over:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
