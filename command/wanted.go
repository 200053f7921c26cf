package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"paas/formation"
	"paas/volume"
)

// laterText answers a change while no server runs.
const laterText = "the server is not running; this takes effect when it starts (paas serve)"

// running returns the app of that name and its live release. It fails if this server does not start
// the release's processes.
func (c *Call) running(name string) (app volume.App, r volume.Release, err error) {
	if app, err = c.App(name); err != nil {
		return app, r, err
	}
	if app.Live() == 0 {
		return app, r, notLive(app)
	}
	if err := serverRuns(app); err != nil {
		return app, r, err
	}
	r, err = app.Release(app.Live())
	return app, r, err
}

// changeWanted changes what should run of the app, in its turn, and tells the runtime.
func (c *Call) changeWanted(
	name, note string, change func(volume.App, *volume.Wanted) error,
) error {
	app, done, err := c.turn(name)
	if err != nil {
		return err
	}
	defer done()
	w, err := app.Wanted()
	if err == nil {
		err = change(app, &w)
	}
	if err == nil {
		err = app.SetWanted(w)
	}
	if err == nil {
		c.did(app.Name, note)
	}
	return err
}

// copyOf is a copy of m, which may be nil.
func copyOf[V any](m map[string]V) map[string]V {
	result := make(map[string]V, len(m))
	maps.Copy(result, m)
	return result
}

// with is a copy of m in which key has the value.
func with[V any](m map[string]V, key string, value V) map[string]V {
	m = copyOf(m)
	m[key] = value
	return m
}

func everyProcess(volume.Process) bool { return true }

// awaitFormation waits until the processes that which selects match the formation, or have crashed,
// and tells the result. If none should run, it waits until the last one has ended. It does not wait
// for an app that sleeps, nor for commands that people run once.
func (c *Call) awaitFormation(app volume.App, which func(volume.Process) bool, p progress) error {
	ctx, stop := c.whileServing()
	defer stop()
	var now settled
	err := app.Await(ctx, func() (done bool, err error) {
		if !app.Exists() {
			return false, volume.ErrNoApp
		}
		now, err = c.settled(app, which)
		return now.asleep || now.done, err
	})
	switch {
	case context.Cause(ctx) == errStopped:
		return errStopped
	case err != nil:
		return err
	case now.asleep:
		p.detail("%s is asleep; the next request wakes it", app.Name)
	case len(now.crashed) > 0:
		var problem []string
		for _, process := range now.crashed {
			problem = append(problem, fmt.Sprintf("%s: %s", process.Name(), plain(reason(process))))
			for _, line := range process.Last {
				problem = append(problem, "  "+plain(line))
			}
		}
		return &Fault{
			Kind: Failed, Err: errors.New(strings.Join(problem, "\n")),
			Next: "see " + c.how("logs", app.Name),
		}
	case len(now.run) > 0:
		p.detail("running: %s", strings.Join(now.run, ", "))
	}
	return nil
}

// settled compares an app's processes with what should run.
type settled struct {
	asleep  bool // again, if it was woken and then had no request
	done    bool
	run     []string
	crashed []volume.Process
}

func (c *Call) settled(app volume.App, which func(volume.Process) bool) (now settled, err error) {
	w, err := app.Wanted()
	if err != nil {
		return now, err
	}
	if _, now.asleep, err = c.asleep(app, w); now.asleep || err != nil {
		return now, err
	}
	lines, counts, err := c.formation(app, w)
	if err != nil {
		return now, err
	}
	wanted := map[string]bool{}
	if w.Stopped != app.Live() {
		for _, p := range counted(counts) {
			if which(p) {
				wanted[p.Name()] = true
			}
		}
	}
	processes, err := app.Processes()
	if err != nil {
		return now, err
	}
	now.done = true
	for _, p := range processes {
		leaving := (p.State == stopping || p.State == standby) && len(wanted) > 0
		if lines[p.Type] == "" || !which(p) || leaving {
			continue
		}
		now.run = append(now.run, p.Name())
		now.done = now.done && wanted[p.Name()] && p.Restart == w.Restart(p.Type, p.Index) && steady(p)
		if p.State == volume.Crashed || p.Failure != "" {
			now.crashed = append(now.crashed, p)
		}
	}
	now.done = now.done && len(now.run) == len(wanted)
	return now, nil
}

// steady reports whether the process has settled: a web process has passed its check, and any other
// has run for a second, or has crashed.
func steady(p volume.Process) bool {
	const proof = time.Second
	proved := p.Type == formation.Web || p.State != running || time.Since(p.Since) >= proof
	return proved && p.State != starting
}
