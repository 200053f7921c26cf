package sshd

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The line is in order, a party at its share is passed, and those who give up are out of it.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := room[string]{places: 3, share: 2, line: 4, lineShare: 3}
		var mu sync.Mutex
		var in []string
		leave := map[string]func(){}
		enter := func(ctx context.Context, name string) {
			go func() {
				l, err := r.enter(ctx, name[:1])
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
		enter(ctx, "a3") // over its share
		want("a1", "a2")
		enter(ctx, "b1") // passes a3
		want("b1")
		brief, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		enter(brief, "b2")
		enter(ctx, "a4")
		want()
		time.Sleep(2 * time.Second)
		want("b2: " + errWaited.Error())
		enter(ctx, "a5")
		enter(ctx, "a6")
		want("a6: " + errLineFull.Error()) // three of them wait
		enter(ctx, "b3")
		enter(ctx, "c1")
		want("c1: " + errLineFull.Error()) // four wait
		again := leave["b1"]
		again()
		again() // frees one place, not two
		want("b3")
		leave["a2"]()
		want("a3")
		leave["b3"]() // a has its share, and nobody else waits
		want()
		leave["a1"]()
		want("a4")
		leave["a3"]()
		want("a5")
		leave["a4"]()
		want()
		leave["a5"]()
		want()
		if r.inside != 0 || len(r.of) != 0 || len(r.waiting) != 0 {
			t.Errorf("left: %d inside, %v, %d waiting", r.inside, r.of, len(r.waiting))
		}
	})
}
