package router

import (
	"slices"
	"time"
)

// Sleep puts an app to sleep if it has been unused for at least idle: nothing is in flight, held or
// draining, and the last request ended that long ago or there was none. The check and the switch
// are one step: a request either uses a process, or finds the app asleep and wakes it. After asleep
// the caller may stop the processes at once. Otherwise retryIn is the earliest time at which
// another call can succeed. Sleep does not block. A sleeping app stays asleep; an unknown app is
// never put to sleep.
func (r *Router) Sleep(name string, idle time.Duration) (asleep bool, retryIn time.Duration) {
	r.init()
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.apps[name]
	if a == nil {
		return false, idle
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting > 0 || slices.ContainsFunc(a.draining,
		func(b *backend) bool { return !isDrained(b) }) {
		return false, idle
	}
	live := *a.live.Load()
	for _, b := range live { // no other code locks two backends
		b.mu.Lock()
		defer b.mu.Unlock()
	}
	if slices.ContainsFunc(live, func(b *backend) bool { return b.inFlight.Load() > 0 }) {
		return false, idle
	}
	if used := a.lastUsed.Load(); used > 0 {
		if left := idle - time.Duration(monotonic()-used); left > 0 {
			return false, left
		}
	}
	for _, b := range live {
		b.retired = true
		b.closeDrained()
		b.pool.close()
	}
	a.route.State, a.route.Addrs, a.waking = Asleep, nil, false
	a.live.Store(&backends{})
	return true, 0
}
