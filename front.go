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

// hosts are the names of an app that its certificates are for, its identity, and the last command
// that asked for certificates.
type hosts struct {
	ID      string   `json:"id"`
	Certify string   `json:"certify,omitempty"`
	Names   []string `json:"names,omitempty"`
}

// published is what a front in another process is told about an app.
type published struct {
	Route router.Route `json:"route"`
	Hosts hosts        `json:"hosts"`
}

// frontDoor adapts the router to the runtime.
type frontDoor struct {
	*visitorsDoor
	fronts *link.Publisher // what fronts in other processes follow
	first  string          // the app that answers at the domain itself
	vol    *volume.Volume  // for identities

	mu        sync.Mutex
	published map[string]router.Route // by app
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
	now := f.hosts(r)
	drained := f.set(r.App, route, now)
	// A front leads all of the app's requests here. Who is let in, and to which process, is decided
	// once, and here.
	outer := router.Route{
		Hosts: route.Hosts, Redirects: route.Redirects, Plain: route.Plain, HSTS: route.HSTS,
		Pages: route.Pages,
	}
	f.fronts.Set(r.App, published{outer, now})
	f.mu.Lock()
	f.published[r.App] = outer
	f.mu.Unlock()
	return drained
}

// hosts returns the names that should have certificates. Former names of an app get them on demand.
func (f *frontDoor) hosts(r runtime.Route) hosts {
	h := hosts{Certify: r.Names.Certify, Names: slices.Clone(r.Names.Domains)}
	if app, err := f.vol.App(r.App); err == nil {
		h.ID, _ = app.Identity() // without it the app has no certificates that people bring
	}
	if isPublic(f.Domain) {
		h.Names = append(h.Names, r.App+"."+f.Domain)
		if r.App == f.first {
			h.Names = append(h.Names, f.Domain)
		}
	}
	return h
}

// isPublic reports whether authorities can know names below the domain: none knows localhost.
func isPublic(domain string) bool { return strings.Contains(domain, ".") }

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
	f.mu.Lock()
	delete(f.published, app)
	f.mu.Unlock()
	return f.remove(app)
}

// visitorsDoor is the router that visitors meet, with certificates for its apps.
type visitorsDoor struct {
	*router.Router
	certs *certs.Keeper // nil: no HTTPS

	mu   sync.RWMutex
	apps map[string]hosts
}

// set replaces the route of an app, and asks for its certificates.
func (d *visitorsDoor) set(app string, route router.Route, now hosts) (drained <-chan struct{}) {
	drained = d.Set(app, route)
	if d.certs == nil {
		return drained
	}
	d.mu.Lock()
	before, known := d.apps[app]
	d.apps[app] = now
	d.mu.Unlock()
	d.certs.Want(now.Names...)
	switch {
	case known && before.Certify != now.Certify:
		d.certs.TryAgain(slices.Concat(before.Names, now.Names)...)
	case !slices.Equal(before.Names, now.Names):
		d.certs.TryAgain(before.Names...) // so that those that are gone are let go
	}
	return drained
}

// remove forgets an app, and the certificates of one that has no other name now.
func (d *visitorsDoor) remove(app string) (drained <-chan struct{}) {
	drained = d.Router.Remove(app)
	if d.certs == nil {
		return drained
	}
	d.mu.Lock()
	gone := d.apps[app]
	delete(d.apps, app)
	d.mu.Unlock()
	d.certs.TryAgain(gone.Names...)
	d.certs.KeepOwn(func(owner string) bool { return owner != gone.ID || d.has(gone.ID) })
	return drained
}

// owner returns the identity of the app that has a name.
func (d *visitorsDoor) owner(name string) (id string, ok bool) {
	app, ok := d.Owner(name)
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.apps[app].ID, ok
}

// has reports whether a known app has that identity, such as under a new name.
func (d *visitorsDoor) has(id string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, h := range d.apps {
		if h.ID == id {
			return true
		}
	}
	return false
}
