// Package pause has a sleep that can be interrupted.
package pause

import (
	"context"
	"errors"
	"time"
)

// ErrDone is returned by [For] if done was closed.
var ErrDone = errors.New("done")

// For blocks for d, or returns at once if d is 0 or less. If ctx ends first, it returns the cause;
// if done is closed first, it returns [ErrDone]. done may be nil.
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
