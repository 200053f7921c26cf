package command

import (
	"maps"
	"slices"

	"paas/formation"
	"paas/formation/appjson"
	"paas/volume"
)

// processes is what runs of the app; nothing runs without a server, whatever a killed one left
// written.
func (c *Call) processes(app volume.App) ([]volume.Process, error) {
	if !c.serving() {
		return nil, nil
	}
	return app.Processes()
}

// formation are the process types of the app's live release that can be scaled, with what they run, and
// how many processes of each are wanted.
func (c *Call) formation(app volume.App, w volume.Wanted) (lines map[string]string, counts map[string]int, err error) {
	r, err := app.Release(app.Live())
	if err != nil {
		return nil, nil, err
	}
	built, err := app.Built(r.Build)
	if err != nil {
		return nil, nil, err
	}
	tree, err := app.ReleaseTree(r)
	if err != nil {
		return nil, nil, err
	}
	file, err := appjson.Read(tree)
	if err != nil {
		return nil, nil, err
	}
	lines, counts = formation.Lines(built), map[string]int{}
	for t := range lines {
		if n := formation.Count(t, w.Formation, file.Formation); n > 0 {
			counts[t] = n
		}
	}
	return lines, counts, nil
}

// States of a process.
const (
	starting = "starting"
	running  = "running"
	standby  = "standby"
	stopping = "stopping"
)

// States of an app that has nothing to start.
const (
	scaledToNone = "scaled to 0"
	onlyCron     = "cron" // what it has runs by the clock
)

// resting is the state of the app where none of its processes is wanted, and what ps:scale takes to
// start one. The state is empty where some are wanted, and where that cannot be told: whoever starts
// the processes reports why.
func (c *Call) resting(app volume.App, w volume.Wanted) (state, start string) {
	lines, counts, err := c.formation(app, w)
	switch {
	case err != nil || len(counts) > 0:
		return "", ""
	case len(lines) == 0:
		return onlyCron, ""
	}
	return scaledToNone, slices.MinFunc(slices.Collect(maps.Keys(lines)), formation.Compare) + "=1"
}

// overall is the state of an app that is to run: that of its web processes, the best one's, or else of
// its others.
func overall(processes []volume.Process) string {
	state := starting
	for _, p := range processes {
		switch {
		case !formation.Scalable(p.Type): // a command that is run once, or by the clock
		case p.Type == formation.Web && p.State == running:
			return p.State
		case state == starting:
			state = p.State
		}
	}
	return state
}

// notInPlace is the fault of a live release that is in watch mode, of which nothing here can make
// another.
func notInPlace(app volume.App) error {
	live, err := app.Release(app.Live())
	if err == nil && live.Settings.Mode == volume.InPlace {
		return conflict("settings:set "+app.Name+" mode=release, then push",
			"%v of %s is in watch mode: what runs it is not started from here, and has its own environment", live, app.Name)
	}
	return err
}

// notLive is the fault of an app that was never deployed.
func notLive(app volume.App) error {
	return conflict("git push deploys it", "nothing of %s is live yet", app.Name)
}

// releaseName is a release number as people write it, "-" for none.
func releaseName(n int) string {
	if n == 0 {
		return "-"
	}
	return volume.Release{N: n}.String()
}
