package router

import (
	"slices"
	"sync"
)

// hosts maps host names to apps. A change costs what it changes, however many apps there are.
//
// An app's own <app>.<Domain> is always its own. A further name that two apps want stays with the
// one that has it, else anybody who may name hosts could take over another app's visitors. When that
// app gives the name up, it goes to the app that has waited longest.
type hosts struct {
	mu      sync.RWMutex
	own     map[string]*app   // <app>.<Domain>
	further map[string][]*app // who wants a further name; the first has it
}

// find returns the app that answers at host, or nil.
func (h *hosts) find(host string) *app {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if a := h.own[host]; a != nil {
		return a
	}
	if want := h.further[host]; len(want) > 0 {
		return want[0]
	}
	return nil
}

// setOwn makes host a's alone.
func (h *hosts) setOwn(host string, a *app) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.own[host] = a
}

// dropOwn frees host.
func (h *hosts) dropOwn(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.own, host)
}

// change replaces a's further names, and returns those of the new ones that another app has.
func (h *hosts) change(a *app, before, after []string) (refused []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, host := range before {
		if slices.Contains(after, host) {
			continue
		}
		want := slices.DeleteFunc(h.further[host], func(other *app) bool { return other == a })
		if h.further[host] = want; len(want) == 0 {
			delete(h.further, host)
		}
	}
	for _, host := range after {
		if !slices.Contains(h.further[host], a) {
			h.further[host] = append(h.further[host], a)
		}
		if owner := h.own[host]; owner != nil && owner != a || h.further[host][0] != a {
			refused = append(refused, host)
		}
	}
	return refused
}
