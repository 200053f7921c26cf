//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// history returns the app's releases, oldest first, or none if the app may be gone.
func (d *day) history(ctx context.Context, a *app) (rows []release, err error) {
	rows, err = d.releases(ctx, false, a)
	if err != nil && strings.Contains(err.Error(),
		"no such app") && slices.ContainsFunc(a.model.states(), func(s state) bool { return s.Gone }) {
		return nil, nil
	}
	slices.Reverse(rows)
	return rows, err
}

// historyGrows checks that the app's history has only grown, and that one release is live.
func (d *day) historyGrows(ctx context.Context, a *app) error {
	rows, err := d.history(ctx, a)
	if err != nil {
		if ctx.Err() == nil {
			d.broken(everyDoor, "%s: %v", a.name, err)
		}
		return err
	}
	if err := historyFault(a.history, rows); err != nil {
		d.broken(nothingLost, "%s: %v", a.name, err)
		return err
	}
	is := a.model.states()[0]
	live := rows[slices.IndexFunc(rows, func(r release) bool { return r.Status.State == "live" })]
	if a.version[live.Commit] != is.Version {
		err := fmt.Errorf("releases has v%d of %q as live; live is %v", live.N, a.version[live.Commit],
			is)
		d.broken(everyDoor, "%s: %v", a.name, err)
		return err
	}
	a.history, a.released[live.N] = rows, is
	d.kept(nothingLost)
	return nil
}

// historyFault returns an error if one history cannot follow the other.
func historyFault(before, now []release) error {
	if len(now) < len(before) {
		return fmt.Errorf("there were %d releases, and now there are %d", len(before), len(now))
	}
	for i, r := range before {
		is := now[i]
		is.Status, is.BuildKept, r.Status, r.BuildKept = struct {
			State,
			Reason string
		}{}, false, struct{ State, Reason string }{}, false
		if is != r {
			return fmt.Errorf("v%d was %+v, and now it is %+v", r.N, r, is)
		}
	}
	live := 0
	for i, r := range now {
		if r.N != i+1 {
			return fmt.Errorf("v%d stands in the place of v%d", r.N, i+1)
		}
		if r.Status.State == "live" {
			live++
		}
	}
	if live != 1 {
		return fmt.Errorf("%d releases are live", live)
	}
	return nil
}
