package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"paas/pause"
	"paas/volume"
)

// expiry warns before certificates that people brought expire: nobody renews those but them.
type expiry struct {
	poked chan struct{} // holds one

	mu     sync.Mutex
	states map[string]volume.Certificate // by name: those that people brought
	warned map[expiring]int              // how often
}

// expiring is a certificate that expires.
type expiring struct {
	app   string
	until time.Time
}

// warning is something to say.
type warning struct {
	expiring
	names []string
}

func newExpiry() *expiry {
	return &expiry{
		poked: make(chan struct{}, 1), states: map[string]volume.Certificate{}, warned: map[expiring]int{},
	}
}

// warnings are the times left at which there is one, and another one at the start of the server.
var warnings = []time.Duration{21 * day, 14 * day, 7 * day, 3 * day, day}

const day = 24 * time.Hour

// note takes the state of a name's certificate.
func (e *expiry) note(name string, state volume.Certificate) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if delete(e.states, name); state.Own {
		e.states[name] = state
	}
	select {
	case e.poked <- struct{}{}:
	default:
	}
}

// due returns what must be said now. owner tells whose a name is.
func (e *expiry) due(now time.Time, owner func(name string) (app string, ok bool)) (due []warning) {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := map[expiring][]string{}
	for _, name := range slices.Sorted(maps.Keys(e.states)) {
		if app, ok := owner(name); ok && e.states[name].ExpiresSoon(now) {
			key := expiring{app, e.states[name].NotAfter}
			names[key] = append(names[key], name)
		}
	}
	maps.DeleteFunc(e.warned, func(key expiring, _ int) bool { return names[key] == nil })
	for key, list := range names {
		stage := 0
		for stage < len(warnings) && key.until.Sub(now) <= warnings[stage] {
			stage++
		}
		if stage > e.warned[key] {
			e.warned[key] = stage
			due = append(due, warning{key, list})
		}
	}
	return due
}

// watchExpiry warns in the server's log and in the events until ctx ends.
func (s *server) watchExpiry(ctx context.Context) error {
	for {
		pause.For(ctx, time.Hour, s.expiry.poked)
		if pause.For(ctx, time.Second, nil) != nil { // an app's names come one by one
			return nil
		}
		for _, w := range s.expiry.due(time.Now(), s.front.Owner) {
			names := strings.Join(w.names, " ")
			s.log.Warn("a certificate that somebody brought expires soon", "role", "certs", "app", w.app,
				"hosts", names, "until", w.until)
			note := fmt.Sprintf("the certificate of %s expires at %s; certs:add %s brings the next one",
				names, w.until.UTC().Format(time.RFC3339), w.app)
			event := volume.Event{By: "server", Did: "certificate", App: w.app, Note: note}
			if err := s.vol.Record(volume.RoleApp, event); err != nil {
				s.log.Error("cannot record an event", "err", err)
			}
		}
	}
}
