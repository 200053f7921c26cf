//go:build linux

package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// troubles are the times in which an operation may fail: the server was gone, or its disk full.
type troubles struct {
	mu    sync.Mutex
	times []trouble
}

type trouble struct{ from, until time.Time }

// begin starts one, from now until over is called.
func (t *troubles) begin() (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := len(t.times)
	t.times = append(t.times, trouble{from: time.Now()})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.times[i].until = time.Now()
	}
}

// met says whether there was one at some moment since then.
func (t *troubles) met(since time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.times, func(one trouble) bool { return one.until.IsZero() || !one.until.Before(since) })
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
