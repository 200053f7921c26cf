package router

import (
	"slices"
	"time"
)

// Sleep puts app to sleep if nobody has used it for idle: no request, websocket or event stream is in
// flight or held, and the last one ended that long ago, or there never was one. To decide and to switch
// is one step: a request meets the processes, which are then in use, or it meets an app that is asleep,
// and wakes it. The processes may be stopped at once. Otherwise asleep is false and in says how much
// later to ask again: before that the app cannot have been idle for long enough. Sleep does not block. An
// app that is asleep stays so; an unknown one cannot be put to sleep.
func (r *Router) Sleep(name string, idle time.Duration) (asleep bool, in time.Duration) {
	r.init()
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.apps[name]
	if a == nil {
		return false, idle
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held > 0 || slices.ContainsFunc(a.leaving, func(i *instance) bool { return !isDrained(i) }) {
		return false, idle
	}
	live := *a.live.Load()
	for _, i := range live { // nobody else locks two of them
		i.mu.Lock()
		defer i.mu.Unlock()
	}
	if slices.ContainsFunc(live, func(i *instance) bool { return i.users.Load() > 0 }) {
		return false, idle
	}
	if used := a.used.Load(); used > 0 {
		if left := idle - time.Duration(clock()-used); left > 0 {
			return false, left
		}
	}
	for _, i := range live {
		i.retired = true
		i.closeDrained()
		i.up.close()
	}
	a.route.State, a.route.Addrs, a.waking = Asleep, nil, false
	a.live.Store(&instances{})
	return true, 0
}
