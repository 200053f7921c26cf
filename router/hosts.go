package router

import (
	"slices"
	"strings"
	"sync"
)

// hosts maps host names to apps. The cost of a change does not depend on the number of apps.
//
// *.example.com is each name directly below example.com that nobody has otherwise.
//
// <app>.<Domain> always belongs to that app. If two apps claim an extra name, the first one has it;
// otherwise anybody who may add hosts could take over another app's visitors. When the first app
// gives the name up, it goes to the app that has waited longest.
type hosts struct {
	mu      sync.RWMutex
	primary map[string]*app   // <app>.<Domain>
	extra   map[string][]*app // claimants of an extra name, in order; the first has it
}

// find returns the app for host, or nil.
func (h *hosts) find(host string) *app {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if a := h.primary[host]; a != nil {
		return a
	}
	_, domain, _ := strings.Cut(host, ".")
	for _, name := range []string{host, "*." + domain} {
		if claimants := h.extra[name]; len(claimants) > 0 {
			return claimants[0]
		}
	}
	return nil
}

// Owner returns the app that requests for host go to.
func (r *Router) Owner(host string) (app string, ok bool) {
	r.init()
	if a := r.hosts.find(host); a != nil {
		return a.name, true
	}
	return "", false
}

// setPrimary gives host to a alone. If a is nil, it forgets host.
func (h *hosts) setPrimary(host string, a *app) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.primary[host] = a; a == nil {
		delete(h.primary, host)
	}
}

// change replaces a's extra names and returns the new ones that belong to another app.
func (h *hosts) change(a *app, before, after []string) (refused []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, host := range before {
		if slices.Contains(after, host) {
			continue
		}
		claimants := slices.DeleteFunc(h.extra[host], func(other *app) bool { return other == a })
		if h.extra[host] = claimants; len(claimants) == 0 {
			delete(h.extra, host)
		}
	}
	for _, host := range after {
		if !slices.Contains(h.extra[host], a) {
			h.extra[host] = append(h.extra[host], a)
		}
		if owner := h.primary[host]; owner != nil && owner != a || h.extra[host][0] != a {
			refused = append(refused, host)
		}
	}
	return refused
}
