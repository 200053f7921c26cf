package pause

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	reason := errors.New("reason")
	for name, test := range map[string]struct {
		d, ctxEnds, doneAfter time.Duration // 0: never
		took                  time.Duration
		err                   error
	}{
		"not at all": {d: -1},
		"to its end": {d: time.Second, took: time.Second},
		"ctx ends":   {d: time.Second, ctxEnds: time.Millisecond, took: time.Millisecond, err: reason},
		"done": {d: time.Second, ctxEnds: time.Minute, doneAfter: 2 * time.Millisecond,
			took: 2 * time.Millisecond, err: ErrDone},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			var done chan struct{}
			if test.ctxEnds > 0 {
				defer time.AfterFunc(test.ctxEnds, func() { cancel(reason) }).Stop()
			}
			if test.doneAfter > 0 {
				done = make(chan struct{})
				defer time.AfterFunc(test.doneAfter, func() { close(done) }).Stop()
			}
			began := time.Now()
			err := For(ctx, test.d, done)
			if took := time.Since(began); err != test.err || took != test.took {
				t.Errorf("%s: %v after %s", name, err, took)
			}
		})
	}
}
