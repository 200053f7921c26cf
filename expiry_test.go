package main

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"paas/volume"
)

// A certificate that somebody brought is spoken of 21 days before it expires, and then less and less
// long before, once each. Those of authorities are renewed, and so are not.
func TestExpiry(t *testing.T) {
	e := newExpiry()
	until := time.Date(2026, 5, 31, 0, 0, 0, 0, time.UTC)
	own := volume.Certificate{Own: true, NotBefore: until.Add(-90 * day), NotAfter: until}
	e.note("a.example", own)
	e.note("b.example", own)
	e.note("gone.example", own)
	e.note("c.example", volume.Certificate{Issuer: "ca", NotBefore: own.NotBefore, NotAfter: until})
	owner := func(name string) (string, bool) { return "blog", name != "gone.example" }
	var said []int
	for left := 25 * day; left > -2*day; left -= 6 * time.Hour {
		for _, w := range e.due(until.Add(-left), owner) {
			if w.app != "blog" || !slices.Equal(w.names, []string{"a.example", "b.example"}) {
				t.Errorf("%+v", w)
			}
			said = append(said, int(left/day))
		}
	}
	if want := []int{21, 14, 7, 3, 1}; !reflect.DeepEqual(said, want) {
		t.Errorf("days left: %v, want %v", said, want)
	}
	now := until.Add(-5 * day)
	if n := len(e.due(now, owner)); n != 1 {
		t.Errorf("after a start: %d", n)
	}
	e.note("a.example", volume.Certificate{Own: true, NotBefore: now, NotAfter: now.Add(90 * day)})
	e.note("b.example", volume.Certificate{})
	if due := e.due(until.Add(-day), owner); len(due) > 0 {
		t.Errorf("after the next one has come: %+v", due)
	}
}
