//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// state is what an app may be.
type state struct {
	Version string // of the commit that is live; empty: none is
	Color   string // the config var; empty: not set
	Stopped bool   // by ps:stop
	Gone    bool   // there is no such app
}

// serves says whether visitors get answers of the app.
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

// change is what an operation makes of an app.
type change func(state) state

// answer is what a visitor got.
type answer struct {
	Asked, Done time.Time
	Served      bool   // by the app itself, with 200
	Version     string // of the app that answered
	Color       string //
	Colorless   bool   // the app does not say its color
	Torn        bool   // the files under the app are not those that it was started with
	Fault       string // where it was not served: the status, or what became of the connection
}

func (a answer) String() string {
	if !a.Served {
		return a.Fault
	}
	if a.Torn {
		return "as " + a.Version + ", and its files are others"
	}
	if a.Colorless {
		return a.Version
	}
	return fmt.Sprintf("%s with COLOR=%q", a.Version, a.Color)
}

// fits says whether an app that is s may answer a.
func (a answer) fits(s state) bool {
	if !a.Served {
		return !s.serves()
	}
	if a.Torn { // on its way out
		return s.Gone
	}
	return s.serves() && a.Version == s.Version && (a.Colorless || a.Color == s.Color)
}

// model is what is known of one app: the states that it may be in, and when it may have been in them. An
// operation whose end is known moves them; one that was cut off leaves both, before and after, until
// somebody sees which it is. Operations of one app do not overlap; visitors ask at any time.
type model struct {
	mu     sync.Mutex
	spans  []span
	before []state // while an operation is under way
	after  []state
}

// span is a time in which the app may have been in a state.
type span struct {
	state
	from, until time.Time // until is zero while it may still be
}

func newModel(now time.Time, s state) *model {
	return &model{spans: []span{{state: s, from: now}}}
}

// may are the states that the app may be in now.
func (m *model) may() []state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now()
}

func (m *model) now() []state {
	var now []state
	for _, s := range m.spans {
		if s.until.IsZero() && !slices.Contains(now, s.state) {
			now = append(now, s.state)
		}
	}
	return now
}

// begin says that an operation starts: from here on the app may be as it was or as c makes it.
func (m *model) begin(now time.Time, c change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.after = m.now(), nil
	for _, s := range m.before {
		if next := c(s); !slices.Contains(m.after, next) {
			m.after = append(m.after, next)
		}
	}
	m.set(now, append(slices.Clone(m.before), m.after...))
}

// outcome is how an operation ended.
type outcome int

const (
	unknown outcome = iota // it was cut off: it happened, or it did not
	worked
	refused
)

func (o outcome) String() string { return [...]string{"unknown", "worked", "refused"}[o] }

// ended says how the operation that began last did.
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

// set makes the app be in one of those states from now on.
func (m *model) set(now time.Time, states []state) {
	for i, s := range m.spans {
		if s.until.IsZero() && !slices.Contains(states, s.state) {
			m.spans[i].until = now
		}
	}
	there := m.now()
	for _, s := range states {
		if !slices.Contains(there, s) {
			m.spans = append(m.spans, span{state: s, from: now})
			there = append(there, s)
		}
	}
	const kept = 10 * time.Minute // nobody waits that long for an answer
	m.spans = slices.DeleteFunc(m.spans, func(s span) bool { return !s.until.IsZero() && now.Sub(s.until) > kept })
}

// allows says whether the app may have given that answer: whether it may have been in a state that fits at some
// moment between question and answer.
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
	return fmt.Errorf("answered %s; it may have been: %s", a, strings.Join(then, ", or "))
}

// saw narrows what the app may be to what fits an answer that was given while nothing was under way.
func (m *model) saw(now time.Time, a answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []state
	for _, s := range m.now() {
		if a.fits(s) {
			left = append(left, s)
		}
	}
	if len(left) == 0 {
		return fmt.Errorf("answers %s; it should be: %v", a, m.now())
	}
	m.set(now, left)
	return nil
}

// known keeps the possible states for which is returns true. It fails if there are none.
func (m *model) known(now time.Time, is func(state) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []state
	for _, s := range m.now() {
		if is(s) {
			left = append(left, s)
		}
	}
	if len(left) == 0 {
		return fmt.Errorf("it should be: %v", m.now())
	}
	m.set(now, left)
	return nil
}
