package main

import (
	"fmt"
	"maps"
	"slices"

	"paas/formation"
	"paas/say"
	"paas/volume"
)

// States of an app that has nothing to start.
const (
	scaledToNone = "scaled to 0"
	onlyCron     = "cron" // what it has runs by the clock
)

// resting is the state of the app where none of its processes is wanted, and what ps:scale takes to
// start one. The state is empty where some are wanted, and where that cannot be told: whoever starts
// the processes reports why.
func (c *call) resting(app volume.App, w volume.Wanted) (state, start string) {
	types, counts, err := c.formation(app, w)
	switch {
	case err != nil || len(counts) > 0:
		return "", ""
	case len(types) == 0:
		return onlyCron, ""
	case types["web"] != "":
		return scaledToNone, "web=1"
	}
	return scaledToNone, slices.Min(slices.Collect(maps.Keys(types))) + "=1"
}

// overall is the state of an app that is to run: that of its web processes, the best one's, or else of
// its others.
func overall(processes []volume.Process) string {
	state := "starting"
	for _, p := range processes {
		switch {
		case !formation.Scalable(p.Type): // a command that is run once, or by the clock
		case p.Type == "web" && p.State == "running":
			return p.State
		case state == "starting":
			state = p.State
		}
	}
	return state
}

// releaseName is a release number as people write it, "-" for none.
func releaseName(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("v%d", n)
}

// waiting tells the caller whom a deploy waits for.
func (c *call) waiting(holder string) {
	say.Step(c.err, "Waiting for %s to end", holder)
}

// record puts what was done into the audit log.
func (c *call) record(did, app, note string) {
	role := volume.RoleCommand
	if c.remote {
		role = volume.RoleGit
	}
	c.vol.Record(role, volume.Event{By: c.name, Did: did, App: app, Note: note})
}

// app is the app that the first argument names.
func (c *call) app() (volume.App, error) { return c.vol.App(c.args[0]) }

// plain is text that a stranger wrote, for a terminal.
func plain(s string) string { return say.Plain(s, 500) }
