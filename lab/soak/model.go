//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// state is a state that an app can be in.
type state struct {
	Version string // of the live commit; empty: nothing is live
	Color   string // the config var; empty: not set
	Stopped bool   // by ps:stop
	Gone    bool   // the app does not exist
}

// serves reports whether visitors get answers from the app.
func (s state) serves() bool { return s.Version != "" && !s.Stopped && !s.Gone }

func (s state) String() string {
	switch {
	case s.Gone:
		return "no app"
	case s.Version == "":
		return fmt.Sprintf("nothing live, COLOR=%q", s.Color)
	case s.Stopped:
		return fmt.Sprintf("%s stopped, COLOR=%q", s.Version, s.Color)
	}
	return fmt.Sprintf("%s with COLOR=%q", s.Version, s.Color)
}

// change is the effect of an operation on an app.
type change func(state) state

// answer is the result of one visit.
type answer struct {
	Asked, Done time.Time
	Served      bool   // the app answered with 200
	Version     string // of the app that answered
	Color       string //
	Colorless   bool   // the app does not report its color
	Torn        bool   // the app's files are not those that it was started with
	Fault       string // the status or connection error, if it was not served
}

func (a answer) String() string {
	if !a.Served {
		return a.Fault
	}
	if a.Torn {
		return a.Version + " with wrong files"
	}
	if a.Colorless {
		return a.Version
	}
	return fmt.Sprintf("%s with COLOR=%q", a.Version, a.Color)
}

// fits reports whether an app in state s may answer a.
func (a answer) fits(s state) bool {
	if !a.Served {
		return !s.serves()
	}
	if a.Torn { // the app is being destroyed
		return s.Gone
	}
	return s.serves() && a.Version == s.Version && (a.Colorless || a.Color == s.Color)
}

// model tracks the states that one app may be in, and since when. An operation whose result is
// known changes them. After one that was cut off, the states before and after it are both possible,
// until an answer shows which one is true. Operations on one app do not overlap; visits may come at
// any time.
type model struct {
	mu     sync.Mutex
	spans  []span
	before []state // of the operation in progress
	after  []state
}

// span is a time in which the app may have been in a state.
type span struct {
	state
	from, until time.Time // until is zero if it may still be
}

func newModel(now time.Time, s state) *model {
	return &model{spans: []span{{state: s, from: now}}}
}

// states returns the states that the app may be in now.
func (m *model) states() []state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current()
}

func (m *model) current() []state {
	var now []state
	for _, s := range m.spans {
		if s.until.IsZero() && !slices.Contains(now, s.state) {
			now = append(now, s.state)
		}
	}
	return now
}

// begin records that an operation starts: from now on the app may be as before, or as c makes it.
func (m *model) begin(now time.Time, c change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.after = m.current(), nil
	for _, s := range m.before {
		if next := c(s); !slices.Contains(m.after, next) {
			m.after = append(m.after, next)
		}
	}
	m.set(now, append(slices.Clone(m.before), m.after...))
}

// outcome is the result of an operation.
type outcome int

const (
	unknown outcome = iota // it was cut off and may have happened
	worked
	refused
)

func (o outcome) String() string { return [...]string{"unknown", "worked", "refused"}[o] }

// ended records the result of the operation in progress.
func (m *model) ended(now time.Time, o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch o {
	case worked:
		m.set(now, m.after)
	case refused:
		m.set(now, m.before)
	}
	m.before, m.after = nil, nil
}

// set replaces the possible states from now on.
func (m *model) set(now time.Time, states []state) {
	for i, s := range m.spans {
		if s.until.IsZero() && !slices.Contains(states, s.state) {
			m.spans[i].until = now
		}
	}
	there := m.current()
	for _, s := range states {
		if !slices.Contains(there, s) {
			m.spans = append(m.spans, span{state: s, from: now})
			there = append(there, s)
		}
	}
	const kept = 10 * time.Minute // no answer takes that long
	m.spans = slices.DeleteFunc(m.spans,
		func(s span) bool { return !s.until.IsZero() && now.Sub(s.until) > kept })
}

// allows returns an error if no possible state between question and answer fits the answer.
func (m *model) allows(a answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var then []string
	for _, s := range m.spans {
		if s.from.After(a.Done) || !s.until.IsZero() && s.until.Before(a.Asked) {
			continue
		}
		if a.fits(s.state) {
			return nil
		}
		then = append(then, s.state.String())
	}
	return fmt.Errorf("answered %s; possible were: %s", a, strings.Join(then, ", or "))
}

// saw keeps the possible states that fit an answer. No operation may be in progress.
func (m *model) saw(now time.Time, a answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []state
	for _, s := range m.current() {
		if a.fits(s) {
			left = append(left, s)
		}
	}
	if len(left) == 0 {
		return fmt.Errorf("answers %s; possible is: %v", a, m.current())
	}
	m.set(now, left)
	return nil
}

// known keeps the possible states for which is returns true. It returns an error if there are none.
func (m *model) known(now time.Time, is func(state) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []state
	for _, s := range m.current() {
		if is(s) {
			left = append(left, s)
		}
	}
	if len(left) == 0 {
		return fmt.Errorf("possible is: %v", m.current())
	}
	m.set(now, left)
	return nil
}
