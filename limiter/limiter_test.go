package limiter

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The queue is in order, keys at their limit are passed, and abandoned waiters are removed.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := Limiter[string]{Max: 3, MaxPerKey: 2, MaxQueue: 4, MaxQueuePerKey: 3}
		var mu sync.Mutex
		var in []string
		leave := map[string]func(){}
		enter := func(ctx context.Context, name string) {
			go func() {
				l, err := r.Acquire(ctx, name[:1])
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					in = append(in, name+": "+err.Error())
					return
				}
				in, leave[name] = append(in, name), l
			}()
			synctest.Wait()
		}
		want := func(names ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(in, names) {
				t.Errorf("%q, want %q", in, names)
			}
			in = nil
		}
		ctx := t.Context()
		enter(ctx, "a1")
		enter(ctx, "a2")
		enter(ctx, "a3") // over its limit
		want("a1", "a2")
		enter(ctx, "b1") // passes a3
		want("b1")
		brief, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		enter(brief, "b2")
		enter(ctx, "a4")
		want()
		time.Sleep(2 * time.Second)
		want("b2: " + ErrTimeout.Error())
		enter(ctx, "a5")
		enter(ctx, "a6")
		want("a6: " + ErrFull.Error()) // three of a are waiting
		enter(ctx, "b3")
		enter(ctx, "c1")
		want("c1: " + ErrFull.Error()) // four are waiting
		again := leave["b1"]
		again()
		again() // frees one slot, not two
		want("b3")
		leave["a2"]()
		want("a3")
		leave["b3"]() // a is at its limit, and nobody else is waiting
		want()
		leave["a1"]()
		want("a4")
		leave["a3"]()
		want("a5")
		leave["a4"]()
		want()
		leave["a5"]()
		want()
		if r.inUse != 0 || len(r.byKey) != 0 || len(r.queue) != 0 {
			t.Errorf("left: %d inside, %v, %d waiting", r.inUse, r.byKey, len(r.queue))
		}
	})
}
