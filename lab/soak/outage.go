//go:build linux

package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// outages are the times in which operations may fail, because the server was down or its disk full.
type outages struct {
	mu    sync.Mutex
	times []outage
}

type outage struct{ from, until time.Time }

// begin starts an outage, which lasts until over is called.
func (t *outages) begin() (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := len(t.times)
	t.times = append(t.times, outage{from: time.Now()})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.times[i].until = time.Now()
	}
}

// since reports whether there was an outage at any moment since start.
func (t *outages) since(start time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.times,
		func(one outage) bool { return one.until.IsZero() || !one.until.Before(start) })
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
