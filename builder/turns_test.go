package builder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Builds run in the order in which they came. One that leaves delays nobody.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q turns
		var begun []string
		waits := map[string]string{}
		enter := func(ctx context.Context, app string) {
			go func() {
				err := q.take(ctx, app, 2, func(running []string,
					waiting int) {
					waits[app] = fmt.Sprint(running, waiting)
				})
				if err != nil {
					app += ": " + err.Error()
				}
				begun = append(begun, app)
			}()
			synctest.Wait()
		}
		expect := func(want ...string) {
			t.Helper()
			if synctest.Wait(); !slices.Equal(begun, want) {
				t.Errorf("%q has its turn, want %q", begun, want)
			}
			begun = nil
		}
		impatient, leave := context.WithCancelCause(t.Context())
		enter(t.Context(), "a")
		enter(t.Context(), "b")
		expect("a", "b")
		enter(t.Context(), "c")
		enter(impatient, "d")
		enter(t.Context(), "e")
		expect()
		if waits["c"] != "[a b] 0" || waits["e"] != "[a b] 2" || waits["a"] != "" {
			t.Errorf("builds waited for %v", waits)
		}
		leave(errors.New("left"))
		expect("d: left")
		q.leave("b")
		expect("c")
		q.leave("c")
		expect("e")
		q.leave("a")
		q.leave("e")
		enter(t.Context(), "f")
		expect("f")
		q.leave("f")
		if len(q.running)+len(q.waiting) > 0 {
			t.Errorf("running %v, %d waiting; want none", q.running, len(q.waiting))
		}
	})
}

// A build's clock stops while it waits for its turn.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		c := clock{left: time.Minute, end: func() { ended.Store(true) }}
		for range 3 {
			c.start()
			c.start()
			time.Sleep(19 * time.Second)
			c.stop()
			c.stop()
			time.Sleep(time.Hour)
		}
		c.start()
		if time.Sleep(2 * time.Second); ended.Load() {
			t.Error("the clock ended before its time")
		}
		time.Sleep(2 * time.Second)
		if synctest.Wait(); !ended.Load() {
			t.Error("the clock did not end")
		}
	})
}
