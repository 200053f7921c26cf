package cli

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"paas/access"
	"paas/command"
	"paas/rig"
)

// partOf returns the part of that name.
func partOf(name string) part {
	return parts[slices.IndexFunc(parts, func(p part) bool { return p.name == name })]
}

func addDomain(t *testing.T, s *stage, who access.Identity, app, domain string) error {
	_, _, err := callWith(t.Context(), s, command.Caller{Identity: who, Door: "ssh"}, "domains:add",
		[]string{app, domain}, "")
	return err
}

// Of two who add a domain at once, one gets it, and the other is told whose it is.
func TestDomainHasOneOwner(t *testing.T) {
	s, admin := newCast(t, partOf("admin"))
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i, app := range []string{"own", "other"} {
		both.Go(func() { errs[i] = addDomain(t, s, admin, app, "a.example") })
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("two got it, or none: %v, %v", errs[0], errs[1])
	}
	lost := rig.Message(errs[0]) + rig.Message(errs[1])
	if !strings.Contains(lost, "a.example belongs to o") || !strings.Contains(lost, "domains:remove o") {
		t.Error(lost)
	}
}

// Who may not see an app does not learn its name from its domains.
func TestDomainOfHiddenApp(t *testing.T) {
	s, operator := newCast(t, partOf("operator"))
	if err := addDomain(t, s, access.Local("alice"), "other", "a.example"); err != nil {
		t.Fatal(err)
	}
	err := addDomain(t, s, operator, "own", "a.example")
	if got := rig.Message(err); got != "a.example belongs to another app of this server" {
		t.Error(got)
	}
	answer, _, err := callWith(t.Context(), s, command.Caller{Identity: operator, Door: "ssh"}, "domains", nil, "")
	if err != nil || strings.Contains(answer, "other") || !strings.Contains(answer, "own.test") {
		t.Errorf("%v\n%s", err, answer)
	}
}
