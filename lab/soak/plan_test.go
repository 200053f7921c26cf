//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
)

// days returns the first rounds of a seed's plan.
func days(seed uint64, rounds int) string {
	var b strings.Builder
	p := newPlan(seed, len(apps))
	for range rounds {
		fmt.Fprintln(&b, p.next())
	}
	return b.String()
}

func TestPlan(t *testing.T) {
	if once, again := days(7, 50), days(7, 50); once != again {
		t.Error("a seed has two plans")
	}
	if days(7, 5) == days(8, 5) {
		t.Error("two seeds have one plan")
	}
	// The rounds that fit into two minutes on a slow machine.
	short := days(7, 13)
	for what := range disruptions {
		if !strings.Contains(short, ": "+what+" after") {
			t.Errorf("a short day has no %q", what)
		}
	}
	for what := range opCounts {
		if !strings.Contains(short, what+" (") {
			t.Errorf("a short day has no %q", what)
		}
		if operations[what] == nil {
			t.Errorf("nothing does %q", what)
		}
	}
}
