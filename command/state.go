package command

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"paas/formation"
	"paas/formation/appjson"
	"paas/volume"
)

// processes are the app's processes. There are none while no server runs, whatever a killed one
// left on disk.
func (c *Call) processes(app volume.App) ([]volume.Process, error) {
	if !c.serving() {
		return nil, nil
	}
	return app.Processes()
}

// formation returns the process types of the live release that can be scaled, with their command
// lines, and how many processes of each are wanted.
func (c *Call) formation(
	app volume.App, w volume.Wanted,
) (lines map[string]string, counts map[string]int, err error) {
	r, err := app.Release(app.Live())
	if err != nil {
		return nil, nil, err
	}
	built, err := app.Built(r.Build)
	if err != nil {
		return nil, nil, err
	}
	file, err := fileOf(app, r)
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

// fileOf reads the app.json of a release.
func fileOf(app volume.App, r volume.Release) (appjson.File, error) {
	tree, err := app.ReleaseTree(r)
	if err != nil {
		return appjson.File{}, err
	}
	return appjson.Read(tree)
}

// counted returns the processes that counts, by type, ask for. They have only names.
func counted(counts map[string]int) (all []volume.Process) {
	for t, n := range counts {
		for i := range n {
			all = append(all, volume.Process{Type: t, Index: i + 1})
		}
	}
	return all
}

// States of a process.
const (
	starting = "starting"
	running  = "running"
	standby  = "standby"
	stopping = "stopping"
)

// States of an app that is idle.
const (
	asleep       = "asleep"
	stopped      = "stopped"
	scaledToNone = "scaled to 0"
	onlyCron     = "cron" // all its commands run by the clock
)

// idleness is why no process of an app should run, and what people can type about it.
type idleness struct {
	Idle   string    `json:"idle,omitempty"` // the state; empty: some should run
	Asleep time.Time `json:"asleep_since,omitzero"`
	Next   string    `json:"next,omitempty"` // starts it, or for cron shows what runs when
}

// idle reports why no process of the app should run. It reports nothing while no server runs, nor
// if that cannot be told: then starting them reports why.
func (c *Call) idle(
	app volume.App, w volume.Wanted, processes []volume.Process,
) (idleness, error) {
	since, sleeps, err := c.asleep(app, w)
	switch {
	case err != nil:
		return idleness{}, err
	case sleeps:
		return idleness{asleep, since, "ps:start " + app.Name}, nil
	case w.Stopped > 0 && w.Stopped == app.Live():
		return idleness{Idle: stopped, Next: "ps:start " + app.Name}, nil
	case !c.serving():
		return idleness{}, nil
	}
	if state := overall(processes); state != starting && state != stopping {
		return idleness{}, nil
	}
	lines, counts, err := c.formation(app, w)
	switch {
	case err != nil || len(counts) > 0:
		return idleness{}, nil
	case len(lines) == 0:
		return idleness{Idle: onlyCron, Next: "cron " + app.Name}, nil
	}
	first := slices.MinFunc(slices.Collect(maps.Keys(lines)), formation.Compare)
	next := fmt.Sprintf("ps:scale %s %s=1", app.Name, first)
	return idleness{Idle: scaledToNone, Next: next}, nil
}

// overall is the state of an app that should run: that of its best web process, or else of its
// others.
func overall(processes []volume.Process) string {
	state := starting
	for _, p := range processes {
		switch {
		case !formation.Scalable(p.Type, ""): // a command that is run once
		case p.Type == formation.Web && p.State == running:
			return p.State
		case state == starting:
			state = p.State
		}
	}
	return state
}

// serverRuns fails if the live release, if there is one, is only files: its processes are not this
// server's, and it cannot be released again.
func serverRuns(app volume.App) error {
	if app.Live() == 0 {
		return nil
	}
	live, err := app.Release(app.Live())
	if err == nil && live.OnlyFiles() {
		return conflict("settings:set "+app.Name+" mode=watch, then push",
			"%v of %s is in mode worktree: its processes are not started from here, "+
				"and have their own environment", live, app.Name)
	}
	return err
}

// notLive is the fault of an app that has never been deployed.
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

// when is a time for people, in UTC like those of logs and events; "-" if it is not known.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// reason is why a process is in its state, what happens next, and what to do about it.
func reason(p volume.Process) string {
	text := p.Reason
	wait := time.Until(p.Next).Round(time.Second / 10) // negative if there is no next start
	switch {
	case wait > 0:
		text += fmt.Sprintf("; next start in %s", wait)
	case p.Failure != "":
		text = "restart failed: " + p.Failure
	}
	if text == "" {
		return ""
	}
	return joined(text, Advice(p.Remedy, bare))
}

// gitURL is where an app is pushed to.
func (c *Call) gitURL(app string) string { return "ssh://paas@" + c.GitHost() + "/" + app }

// cron is what runs of the app by the clock. Nothing does while the server does not run.
func (c *Call) cron(app volume.App) (volume.Cron, error) {
	state, err := app.Cron()
	if err != nil {
		return state, err
	}
	if state.Release == 0 || state.Release != app.Live() {
		state.Entries = nil
	}
	if c.serving() {
		return state, nil
	}
	for i := range state.Entries {
		e := &state.Entries[i]
		e.Next = time.Time{}
		if e.Last != nil && e.Last.Result == "" {
			e.Last.Result = "killed: the server ended"
		}
	}
	return state, nil
}
