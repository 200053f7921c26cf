package main

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"paas/certs"
	"paas/link"
	"paas/router"
	"paas/runtime"
	"paas/volume"
)

// hosts are the names of an app that its certificates are for, and the last command that asked for
// certificates.
type hosts struct {
	id, certify string
	names       []string
}

// frontDoor adapts the router to the runtime, and asks for certificates.
type frontDoor struct {
	*router.Router
	fronts *link.Publisher // what fronts in other processes follow
	first  string          // the app that answers at the domain itself
	certs  *certs.Keeper   // nil: no HTTPS
	vol    *volume.Volume  // for identities

	mu   sync.RWMutex
	apps map[string]hosts
}

func (f *frontDoor) Route(r runtime.Route) <-chan struct{} {
	if r.App == volume.Own { // an app of an earlier version: that host is not its any more
		return closed
	}
	states := map[runtime.State]router.State{
		runtime.Starting: router.Starting, runtime.Running: router.Running, runtime.Down: router.Down,
		runtime.Asleep: router.Asleep,
	}
	route := router.Route{
		Addrs: r.Addrs, State: states[r.State], HTTP2: r.HTTP2, Rules: router.Rules(r.Rules), Pages: r.Pages,
		Hosts: slices.Clone(r.Names.Domains), Redirects: maps.Clone(r.Names.Redirects),
		Plain: r.Names.NoRedirect, HSTS: r.Names.HSTS,
	}
	for _, name := range r.Former {
		route.Hosts = append(route.Hosts, name+"."+f.Domain)
	}
	if r.App == f.first || slices.Contains(r.Former, f.first) {
		route.Hosts = append(route.Hosts, f.Domain)
	}
	drained := f.Set(r.App, route)
	// A front leads all of the app's requests here. Who is let in, and to which process, is decided
	// once, and here.
	route.Addrs, route.State, route.Rules = nil, router.Running, router.Rules{}
	f.fronts.Set(r.App, route)
	if f.certs != nil {
		f.certify(r)
	}
	return drained
}

// certify asks for certificates for the names of an app. Its former names get them on demand.
func (f *frontDoor) certify(r runtime.Route) {
	now := hosts{certify: r.Names.Certify, names: slices.Clone(r.Names.Domains)}
	if app, err := f.vol.App(r.App); err == nil {
		now.id, _ = app.Identity() // without it the app has no certificates that people bring
	}
	if strings.Contains(f.Domain, ".") { // no authority knows localhost
		now.names = append(now.names, r.App+"."+f.Domain)
		if r.App == f.first {
			now.names = append(now.names, f.Domain)
		}
	}
	f.mu.Lock()
	before, known := f.apps[r.App]
	f.apps[r.App] = now
	f.mu.Unlock()
	f.certs.Want(now.names...)
	switch {
	case known && before.certify != now.certify:
		f.certs.TryAgain(slices.Concat(before.names, now.names)...)
	case !slices.Equal(before.names, now.names):
		f.certs.TryAgain(before.names...) // so that those that are gone are let go
	}
}

// owner returns the identity of the app that has a name.
func (f *frontDoor) owner(name string) (id string, ok bool) {
	app, ok := f.Owner(name)
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.apps[app].id, ok
}

// closed is for a route that nobody uses.
var closed = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

func (f *frontDoor) Sleep(app string, idle time.Duration) (asleep bool, in time.Duration) {
	if app == volume.Own {
		return false, idle
	}
	return f.Router.Sleep(app, idle)
}

func (f *frontDoor) Remove(app string) <-chan struct{} {
	if app == volume.Own {
		return closed
	}
	f.fronts.Remove(app)
	drained := f.Router.Remove(app)
	if f.certs == nil {
		return drained
	}
	f.mu.Lock()
	gone := f.apps[app]
	delete(f.apps, app)
	f.mu.Unlock()
	f.certs.TryAgain(gone.names...)
	f.certs.KeepOwn(func(owner string) bool {
		return owner != gone.id || f.has(gone.id)
	})
	return drained
}

// has reports whether a known app has that identity, such as under a new name.
func (f *frontDoor) has(id string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, h := range f.apps {
		if h.id == id {
			return true
		}
	}
	return false
}
