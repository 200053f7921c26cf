package router

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Route is what the runtime says about one app.
type Route struct {
	Hosts  []string // further host names, lower case, without port
	Addrs  []string // host:port of each live process; none: no process right now
	State  State    // what to do with requests while there are no Addrs
	Reason string   // why, one line; logged with refused requests, never shown: it may tell what only the owner should know
}

// State is what to do with an app's requests while it has no live process.
type State int

const (
	Starting State = iota // hold them: a process is on its way
	Running               // hold them too: between one process and the next
	Down                  // refuse them at once: stopped or crashed
	Asleep                // hold them, and have the app woken by the first
)

func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Running:
		return "running"
	case Asleep:
		return "asleep"
	default:
		return "down"
	}
}

// app is one name and where it points. live is read by every request; the rest is for those that
// find it empty.
type app struct {
	name    string
	live    atomic.Pointer[instances]
	used    atomic.Int64 // when a request last ended, on the clock of [clock]; 0: none has
	busy    atomic.Int64 // requests in progress
	leaving instances    // were live and may still be in use; guarded by Router.mu

	mu      sync.Mutex
	route   Route
	removed bool
	waking  bool          // was asleep, and has had no process since
	changed chan struct{} // closed at the next change; nil while nobody waits
	held    int           // requests waiting
}

// Set points app at route, atomically: requests that arrive after it returns go to one of
// route.Addrs, the one with the fewest requests in flight. An address that was there before stays as
// it is, with its requests and its idle connections.
//
// drained closes when nobody waits for an answer from an address that the app had, before this Set
// or an earlier one, and has no more: at once where there is none such or nobody uses it. Event
// streams and upgraded connections (websockets) are ended DrainTimeout after their address went;
// requests that take longer than RequestDrain are no longer waited for, but not cut. Set does not
// block and is safe for concurrent use; calls for one app take effect in their order.
func (r *Router) Set(name string, route Route) (drained <-chan struct{}) {
	r.init()
	route.Hosts = r.cleanHosts(name, route.Hosts)
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.apps[name]
	if a == nil {
		a = newApp(name)
		r.apps[name] = a
		r.hosts.setOwn(name+"."+r.domain, a)
	}
	if before := a.route.Hosts; !slices.Equal(before, route.Hosts) {
		for _, h := range r.hosts.change(a, before, route.Hosts) {
			r.Log.Warn("another app has this host; left out", "app", name, "host", h)
		}
	}
	return r.drain(a, a.point(route, false))
}

// Remove forgets app: its hosts answer 404 from now on. drained is Set's. Unknown names are fine.
func (r *Router) Remove(name string) (drained <-chan struct{}) {
	r.init()
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.apps[name]
	if a == nil {
		return closed
	}
	delete(r.apps, name)
	r.hosts.dropOwn(name + "." + r.domain)
	r.hosts.change(a, a.route.Hosts, nil)
	return r.drain(a, a.point(Route{State: Down}, true))
}

func newApp(name string) *app {
	a := &app{name: name}
	a.live.Store(&instances{})
	return a
}

// point changes where the app points, wakes who waits for that, and returns the instances that get
// no more requests. The caller holds Router.mu.
func (a *app) point(route Route, removed bool) (gone instances) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waking = len(route.Addrs) == 0 && route.State == Starting && (a.waking || a.route.State == Asleep)
	a.route, a.removed = route, removed
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
	next, gone := a.live.Load().at(route.Addrs)
	a.live.Store(&next)
	return gone
}

// cleanHosts leaves out what is not a host name.
func (r *Router) cleanHosts(name string, hosts []string) []string {
	clean := make([]string, 0, len(hosts))
	for _, h := range hosts {
		if host, ok := parseHost(h); ok {
			clean = append(clean, host)
		} else {
			r.Log.Warn("not a host name; left out", "app", name, "host", h)
		}
	}
	return clean
}
