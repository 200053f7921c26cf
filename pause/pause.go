// Package pause waits for a while in a way that can be cut short.
package pause

import (
	"context"
	"errors"
	"time"
)

// ErrDone ends a pause because what the caller watches is over.
var ErrDone = errors.New("done")

// For blocks for d; not at all if d is 0 or less. It returns the cause of ctx if that ends before, or
// [ErrDone] if done is closed before. done may be nil.
func For(ctx context.Context, d time.Duration, done <-chan struct{}) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-done:
		return ErrDone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
