package router

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Route says where an app's requests go, and which it takes. It can be sent as JSON.
type Route struct {
	Hosts []string // extra host names, lower case, without port, such as a.example or *.example
	Addrs []string // host:port of each live process; may be empty
	State State    // what to do with requests while Addrs is empty

	// Redirects maps hosts of the app to those that their visitors are sent to.
	Redirects map[string]string
	Plain     bool          // do not send visitors to HTTPS
	HSTS      time.Duration // how long browsers should remember to use HTTPS; 0: do not ask them

	HTTP2 bool // the processes speak HTTP/2 without TLS (h2c), and no HTTP/1

	// Inner processes are a part of the server: X-Real-Ip tells them the client's address.
	Inner bool

	Rules Rules
	// Pages are HTML for the router's own responses for the app, by status ("503") or "maintenance".
	// They are not sent to clients that prefer JSON.
	Pages map[string]string
}

// State says what happens to an app's requests while it has no live process.
type State int

const (
	Starting State = iota // hold requests: a process is starting
	Running               // hold requests: one process is about to replace another
	Down                  // refuse requests: the app is stopped or has crashed
	Asleep                // hold requests, and wake the app on the first one
)

// app is an app's routing state. Every request reads live; the fields below mu matter only to
// requests that find it empty.
type app struct {
	name       string
	live       atomic.Pointer[backends]
	rules      atomic.Pointer[ruleSet] // nil: there are none
	manners    atomic.Pointer[manners]
	lastUsed   atomic.Int64 // when the last request ended, in [monotonic] time; 0 if there was none
	inProgress atomic.Int64 // requests in progress, websockets and event streams included
	log        *requestLog  // nil: none is kept
	cookieSaid atomic.Bool  // that a cookie was changed
	draining   backends     // removed from live but perhaps still in use; guarded by Router.mu

	mu      sync.Mutex
	route   Route
	removed bool
	waking  bool          // was asleep and has had no backend since
	changed chan struct{} // closed at the next change; nil if nothing waits for it
	waiting int           // number of requests waiting
}

// Set replaces an app's route atomically: each request that arrives after Set returns goes to the
// address in route.Addrs with the fewest requests in flight. An address that was in the previous
// route keeps its requests and idle connections.
//
// drained closes once no request is in progress at any address that left the route in this or an
// earlier Set. If there is none, it is already closed. Event streams and upgraded connections
// (websockets) are closed DrainTimeout after their address left. Set stops waiting for a request
// after RequestDrain, but does not interrupt it. Set does not block and is safe for concurrent use;
// calls for one app take effect in order.
func (r *Router) Set(name string, route Route) (drained <-chan struct{}) {
	r.init()
	route.Hosts = r.cleanHosts(name, route.Hosts)
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.apps[name]
	if a == nil {
		a = newApp(name)
		if r.AppLog != nil {
			a.log = newRequestLog(r.AppLog(name), r.LogOwnAs)
		}
		r.apps[name] = a
		r.hosts.setPrimary(name+"."+r.domain, a)
	}
	if before := a.route.Hosts; !slices.Equal(before, route.Hosts) {
		for _, h := range r.hosts.change(a, before, route.Hosts) {
			r.Log.Warn("host belongs to another app; waiting for it", "app", name, "host", h)
		}
	}
	a.setRules(route)
	a.setManners(route)
	return r.drain(a, a.setRoute(route, false))
}

// Remove deletes an app: its hosts answer 404. See Set for drained. An unknown name is not an
// error.
func (r *Router) Remove(name string) (drained <-chan struct{}) {
	r.init()
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.apps[name]
	if a == nil {
		return closedChan
	}
	delete(r.apps, name)
	r.hosts.setPrimary(name+"."+r.domain, nil)
	r.hosts.change(a, a.route.Hosts, nil)
	go a.log.close() // it may wait for the disk
	return r.drain(a, a.setRoute(Route{State: Down}, true))
}

func newApp(name string) *app {
	a := &app{name: name}
	a.live.Store(&backends{})
	a.manners.Store(&manners{})
	return a
}

// setRoute replaces the route, wakes the waiting requests and returns the backends that were
// removed. The caller holds Router.mu.
func (a *app) setRoute(route Route, removed bool) (dropped backends) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waking = len(route.Addrs) == 0 && route.State == Starting &&
		(a.waking || a.route.State == Asleep)
	a.route, a.removed = route, removed
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
	next, dropped := a.live.Load().withAddrs(route.Addrs)
	a.live.Store(&next)
	return dropped
}

// cleanHosts normalizes hosts and drops those that are not host names.
func (r *Router) cleanHosts(name string, hosts []string) []string {
	clean := make([]string, 0, len(hosts))
	for _, h := range hosts {
		rest, wildcard := strings.CutPrefix(h, "*.")
		if host, ok := parseHost(rest); ok {
			if wildcard {
				host = "*." + host
			}
			clean = append(clean, host)
		} else {
			r.Log.Warn("not a host name; ignored", "app", name, "host", h)
		}
	}
	return clean
}
