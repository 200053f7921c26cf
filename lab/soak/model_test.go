//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// at returns a time of the test's day, in seconds.
func at(s float64) time.Time {
	return time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
}

func got(from, to float64, version, color string) answer {
	return answer{Asked: at(from), Done: at(to), Served: true, Version: version, Color: color}
}

func unserved(from, to float64) answer {
	return answer{Asked: at(from), Done: at(to), Fault: "503"}
}

// story returns a model in which a was live and b was pushed at 10 s, with the given outcome at
// 12 s.
func story(o outcome) *model {
	m := newModel(at(0), state{Version: "a", Color: "red"})
	m.begin(at(10), goesLive("b"))
	m.ended(at(12), o)
	return m
}

func TestModel(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome outcome
		answer  answer
		allowed bool
	}{
		{"the old one before", worked, got(9, 9.1, "a", "red"), true},
		{"the new one before it was pushed", worked, got(9, 9.1, "b", "red"), false},
		{"the old one meanwhile", worked, got(11, 11.1, "a", "red"), true},
		{"the new one meanwhile", worked, got(11, 11.1, "b", "red"), true},
		{"in flight on the old one when it ended", worked, got(11.9, 15, "a", "red"), true},
		{"the old one after a push that worked", worked, got(12.1, 12.2, "a", "red"), false},
		{"the new one after a push that worked", worked, got(12.1, 12.2, "b", "red"), true},
		{"the new one after a push that was refused", refused, got(12.1, 12.2, "b", "red"), false},
		{"the old one after a push that was refused", refused, got(12.1, 12.2, "a", "red"), true},
		{"the old one after a push that was cut off", unknown, got(12.1, 12.2, "a", "red"), true},
		{"the new one after a push that was cut off", unknown, got(12.1, 12.2, "b", "red"), true},
		{"another color", unknown, got(12.1, 12.2, "b", "blue"), false},
		{"a third one", unknown, got(12.1, 12.2, "c", "red"), false},
		{"half of each", unknown, got(12.1, 12.2, "half: a b", "red"), false},
		{"nobody", unknown, unserved(12.1, 12.2), false},
		{"an app that does not report its color", worked,
			answer{Asked: at(13), Done: at(14), Served: true, Version: "b", Colorless: true}, true},
	} {
		err := story(c.outcome).allows(c.answer)
		if (err == nil) != c.allowed {
			t.Errorf("%s, push %v: %v", c.name, c.outcome, err)
		}
	}
}

func TestModelSees(t *testing.T) {
	m := story(unknown)
	if err := m.saw(at(20), got(20, 20.1, "b", "red")); err != nil {
		t.Fatal(err)
	}
	if may := m.states(); !slices.Equal(may, []state{{Version: "b", Color: "red"}}) {
		t.Errorf("after it was seen it may be %v", may)
	}
	if m.allows(got(21, 21.1, "a", "red")) == nil {
		t.Error("a state that was seen can change back by itself")
	}
	err := m.saw(at(22), got(22, 22.1, "a", "red"))
	if err == nil || !strings.Contains(err.Error(), "answers a with COLOR") {
		t.Errorf("a wrong answer at rest: %v", err)
	}
}

// After two operations that were cut off, all four combinations are possible.
func TestModelUnknownTwice(t *testing.T) {
	m := story(unknown)
	m.begin(at(13), colored("blue"))
	m.ended(at(14), unknown)
	if n := len(m.states()); n != 4 {
		t.Errorf("it may be %v", m.states())
	}
	m.begin(at(15), goesLive("c"))
	m.ended(at(16), worked)
	for _, color := range []string{"red", "blue"} {
		if err := m.allows(got(17, 17.1, "c", color)); err != nil {
			t.Error(err)
		}
	}
	if m.allows(got(17, 17.1, "a", "red")) == nil {
		t.Error("a is still allowed after c went live")
	}
}

func TestModelUnserved(t *testing.T) {
	m := newModel(at(0), state{Version: "a"})
	m.begin(at(1), func(s state) state { s.Stopped = true; return s })
	m.ended(at(2), worked)
	if err := m.allows(unserved(3, 3.1)); err != nil {
		t.Error(err)
	}
	if m.allows(got(3, 3.1, "a", "")) == nil {
		t.Error("a stopped app may serve")
	}
	torn := got(3, 3.1, "a", "")
	torn.Torn = true
	if m.allows(torn) == nil {
		t.Error("an app may lose its files")
	}
	m.begin(at(3), func(state) state { return state{Gone: true} })
	if err := m.allows(torn); err != nil {
		t.Error(err)
	}
	m.ended(at(3), refused)
	m.begin(at(4), started)
	m.ended(at(5), worked)
	if m.allows(unserved(6, 6.1)) == nil {
		t.Error("an app that was started need not serve")
	}
}

// A push that was cut off may leave a new app without a release.
func TestModelMade(t *testing.T) {
	a := &app{model: newModel(at(0), state{Gone: true})}
	a.mayCreate()
	a.model.begin(at(1), goesLive("a"))
	a.model.ended(at(2), unknown)
	want := []state{{Gone: true}, {}, {Version: "a"}}
	if may := a.model.states(); !slices.Equal(may, want) {
		t.Errorf("it may be %v, want %v", may, want)
	}
}

// A failed request breaks a promise unless it is excused at that time. A wrong answer is never
// excused.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  answer
		excused bool // from 10 s to 20 s
		broken  promise
	}{
		{"as it should be", got(1, 2, "a", ""), false, 0},
		{"failed", unserved(1, 2), false, unnoticed},
		{"failed, excused", unserved(12, 13), true, 0},
		{"failed, across the excuse's begin", unserved(9, 11), true, 0},
		{"failed, before the excuse", unserved(8, 9), true, unnoticed},
		{"failed, after the excuse", unserved(21, 22), true, unnoticed},
		{"wrong, excused", got(12, 13, "b", ""), true, nothingLost},
	} {
		d := &day{server: &server{}}
		d.visits.Excused = map[string]int{}
		d.diary.file = devNull(t)
		a := &app{kind: kind{name: "blog"}, model: newModel(at(0), state{Version: "a"})}
		if c.excused {
			a.excuses = []*excuse{{why: "a kill", from: at(10), until: at(20)}}
		}
		d.judge(a, c.answer)
		b := d.findings.broken
		if (b == "") != (c.broken == 0) || b != "" && !strings.HasPrefix(b, c.broken.String()+": blog") {
			t.Errorf("%s: broken: %q, want %v", c.name, b, c.broken)
		}
	}
}
