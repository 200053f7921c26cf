package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/command"
	"paas/formation"
	"paas/formation/appjson"
	"paas/runtime"
	"paas/say"
	"paas/volume"

	"github.com/spf13/cobra"
)

var psVerbs = []verb{
	{use: "ps APP", short: "the processes of an app", args: args(1, 1), flags: withFormat, run: showProcesses},
	{use: "ps:scale APP [TYPE=N...]", short: "how many processes of each type run; without TYPE=N, how many are wanted", args: args(1, -1), run: scale},
	{use: "ps:restart APP [TYPE[.N]]", short: "restart all processes without a gap, or those named", args: args(1, 2), run: restart},
	{use: "ps:rebuild APP [--clear-cache]", short: "build the live commit again; use it when git push says Everything up-to-date", args: args(1, 1), run: rebuild, flags: func(cmd *cobra.Command) {
		cmd.Flags().Bool("clear-cache", false, "empty the app's build cache before")
	}},
	{use: "ps:stop APP", short: "stop all processes, until ps:start or the next release", args: args(1, 1), run: stopApp},
	{use: "ps:start APP", short: "start what ps:stop stopped, or wake what sleeps", args: args(1, 1), run: startApp},
}

// processes is what runs of the app; nothing runs without a server, whatever a killed one left
// written.
func (c *call) processes(app volume.App) ([]volume.Process, error) {
	if !c.serving() {
		return nil, nil
	}
	return app.Processes()
}

func showProcesses(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	processes, err := c.processes(app)
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if volume.IsDamage(err) {
		say.Fault(c.err, "%s", plain(err.Error()))
		err = nil
	}
	if err != nil {
		return err
	}
	since, asleep, err := c.asleep(app, w)
	if err != nil {
		return err
	}
	none, idle := "nothing runs of "+app.Name, asleep
	if asleep {
		none = app.Name + " is " + sayAsleep(since)
	} else if w.Stopped > 0 && w.Stopped == app.Live() {
		none = app.Name + " is stopped; ps:start " + app.Name + " starts it"
	} else if c.serving() {
		switch state, start := c.resting(app, w); state {
		case scaledToNone:
			idle, none = true, fmt.Sprintf("%s is %s; ps:scale %s %s starts it", app.Name, state, app.Name, start)
		case onlyCron:
			idle, none = true, fmt.Sprintf("%s has only what runs by the clock; cron %s shows it", app.Name, app.Name)
		}
	}
	err = list(c, processes, none, "PROCESS\tSTATE\tRELEASE\tPID\tSINCE\tRESTARTS\tREASON", func(p volume.Process) string {
		pid := "-"
		if p.PID > 0 {
			pid = strconv.Itoa(p.PID)
		}
		return fmt.Sprintf("%s\t%s\tv%d\t%s\t%s\t%d\t%s", p.Name(), p.State, p.Release, pid,
			when(p.Since), p.Restarts, orNone(plain(reason(p))))
	})
	if format, _ := c.cmd.Flags().GetString("format"); err != nil || format != "text" {
		return err
	}
	for _, p := range processes {
		sayLast(c, p)
	}
	if idle && len(processes) > 0 { // those that are still ending, and what people run once
		fmt.Fprintf(c.out, "\n%s\n", none)
	}
	return nil
}

// when is a time for people; "-" where it is not known.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// reason is why a process is in its state, and what comes next.
func reason(p volume.Process) string {
	switch {
	case !p.Next.IsZero() && time.Until(p.Next) > 0:
		return fmt.Sprintf("%s; next start in %s", p.Reason, time.Until(p.Next).Round(time.Second/10))
	case p.Failure != "":
		return "restart failed: " + p.Failure
	}
	return p.Reason
}

// sayLast shows what a crashed process printed last.
func sayLast(c *call, p volume.Process) {
	if len(p.Last) == 0 {
		return
	}
	fmt.Fprintf(c.out, "\nthe last lines of %s:\n", p.Name())
	for _, line := range p.Last {
		say.Detail(c.out, "%s", plain(line))
	}
}

// running is the app that the first argument names, with the release of it that runs.
func (c *call) running() (app volume.App, r volume.Release, err error) {
	if app, err = c.app(); err != nil {
		return app, r, err
	}
	if app.Live() == 0 {
		return app, r, fmt.Errorf("nothing of %s is live yet; git push deploys it", app.Name)
	}
	if err := notInPlace(app); err != nil {
		return app, r, err
	}
	r, err = app.Release(app.Live())
	return app, r, err
}

// changeRunning changes what is wanted of the processes that run, under the app's turn, and tells
// the runtime.
func (c *call) changeRunning(note string, change func(*volume.Wanted) error) error {
	app, done, err := c.turn()
	if err != nil {
		return err
	}
	defer done()
	w, err := app.Wanted()
	if err == nil {
		err = change(&w)
	}
	if err == nil {
		err = app.SetWanted(w)
	}
	if err != nil {
		return err
	}
	c.record(c.cmd.Name(), app.Name, note)
	return nil
}

// wanted are the processes of each type that are to run, and whether that was said by ps:scale.
func (c *call) formation(app volume.App, w volume.Wanted) (types map[string]string, counts map[string]int, err error) {
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
	types, counts = formation.Lines(built), map[string]int{}
	for t := range types {
		if n := formation.Count(t, w.Formation, file.Formation); n > 0 {
			counts[t] = n
		}
	}
	return types, counts, nil
}

func scale(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	if len(c.args) == 1 {
		return showFormation(c, app)
	}
	asked, err := parseScale(c.args[1:])
	if err != nil {
		return usageError(fmt.Errorf("%w; usage: %s", err, c.cmd.UseLine()))
	}
	live := app.Live()
	if live > 0 {
		if err := notInPlace(app); err != nil {
			return err
		}
	}
	err = c.changeRunning(strings.Join(c.args[1:], " "), func(w *volume.Wanted) error {
		if live > 0 {
			types, _, err := c.formation(app, *w)
			if err != nil {
				return err
			}
			for _, t := range slices.Sorted(maps.Keys(asked)) {
				if _, there := types[t]; !there {
					return fmt.Errorf("%s has no process type %q; it has %s", app.Name, plain(t), strings.Join(slices.Sorted(maps.Keys(types)), ", "))
				}
			}
		}
		formation := maps.Clone(w.Formation)
		if formation == nil {
			formation = map[string]int{}
		}
		maps.Copy(formation, asked)
		w.Formation, w.Wake = formation, rand.Text()
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case live == 0:
		fmt.Fprintf(c.out, "%s; for the first release of %s\n", strings.Join(c.args[1:], " "), app.Name)
		return nil
	case !c.serving():
		fmt.Fprintln(c.out, "the server is not running; this takes effect when it starts (paas serve)")
		return nil
	}
	say.Step(c.out, "Scaling %s: %s", app.Name, strings.Join(c.args[1:], " "))
	return c.settle(app, func(p volume.Process) bool { _, ok := asked[p.Type]; return ok })
}

func parseScale(pairs []string) (map[string]int, error) {
	asked := map[string]int{}
	for _, pair := range pairs {
		t, text, ok := strings.Cut(pair, "=")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || t == "" || text[0] == '+' { // elsewhere that means so many more
			return nil, fmt.Errorf("%q is not of the form TYPE=N", plain(pair))
		}
		if err := appjson.CheckQuantity(n); err != nil {
			return nil, err
		}
		if !formation.Scalable(t) {
			return nil, fmt.Errorf("%s does not run as long as the app does, and has no number", plain(t))
		}
		asked[t] = n
	}
	return asked, nil
}

func showFormation(c *call, app volume.App) error {
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	if app.Live() == 0 {
		for _, t := range slices.Sorted(maps.Keys(w.Formation)) {
			fmt.Fprintf(c.out, "%s=%d\n", t, w.Formation[t])
		}
		return nil
	}
	if err := notInPlace(app); err != nil {
		return err
	}
	types, counts, err := c.formation(app, w)
	if err != nil {
		return err
	}
	for _, t := range slices.Sorted(maps.Keys(types)) {
		fmt.Fprintf(c.out, "%s=%d\n", t, counts[t])
	}
	return nil
}

// settle waits until the processes that which selects match the formation, or have crashed, and shows
// the result. Where none is to run, it waits until the last one has ended. It does not wait for an app
// that sleeps, nor for what people run once.
func (c *call) settle(app volume.App, which func(volume.Process) bool) error {
	ctx, stop := c.whileServing()
	defer stop()
	var fell []volume.Process
	var run []string
	asleep := false
	err := app.Await(ctx, func() (bool, error) {
		if !app.Exists() {
			return false, volume.ErrNoApp
		}
		w, err := app.Wanted()
		if err != nil {
			return false, err
		}
		if _, asleep, err = c.asleep(app, w); asleep || err != nil { // again: it was woken, and nobody asked for it
			return asleep, err
		}
		types, counts, err := c.formation(app, w)
		if err != nil {
			return false, err
		}
		wanted := map[string]bool{}
		for t, count := range counts {
			for i := range count {
				if p := (volume.Process{Type: t, Index: i + 1}); w.Stopped != app.Live() && which(p) {
					wanted[p.Name()] = true
				}
			}
		}
		processes, err := app.Processes()
		if err != nil {
			return false, err
		}
		fell, run = nil, nil
		found, settled := 0, true
		for _, p := range processes {
			if types[p.Type] == "" || !which(p) || (p.State == "stopping" || p.State == "standby") && len(wanted) > 0 {
				continue
			}
			found++
			run = append(run, p.Name())
			settled = settled && wanted[p.Name()] && p.Restart == w.Restart(p.Type, p.Index) && steady(p)
			if p.State == volume.Crashed || p.Failure != "" {
				fell = append(fell, p)
			}
		}
		return settled && found == len(wanted), nil
	})
	if context.Cause(ctx) == errStopped {
		return errStopped
	}
	if err != nil {
		return err
	}
	if asleep {
		say.Detail(c.out, "%s is asleep; the next request wakes it", app.Name)
		return nil
	}
	for _, p := range fell {
		say.Fault(c.err, "%s: %s", p.Name(), plain(reason(p)))
		for _, line := range p.Last {
			say.Fault(c.err, "  %s", plain(line))
		}
	}
	if len(fell) > 0 {
		say.Fault(c.err, "see %s", c.hint("logs", app.Name))
		return command.Exit(1)
	}
	if len(run) > 0 {
		say.Detail(c.out, "running: %s", strings.Join(run, ", "))
	}
	return nil
}

// steady reports whether the process has settled: a web process has passed its check, and any other has
// run for a second, or has crashed.
func steady(p volume.Process) bool {
	const proof = time.Second
	return p.State != string(runtime.Starting) && (p.Type == "web" || p.State != string(runtime.Running) || time.Since(p.Since) >= proof)
}

func restart(c *call) error {
	if len(c.args) == 1 {
		return c.again(volume.CauseRestart, func(app volume.App) (volume.Release, string, error) {
			r, err := app.Release(app.Live())
			return r, "", err
		})
	}
	app, r, err := c.running()
	if err != nil {
		return err
	}
	name := c.args[1]
	if !c.serving() {
		return errors.New("the server is not running; start it: paas serve")
	}
	processes, err := c.restartable(app)
	if err != nil {
		return err
	}
	meant := func(p volume.Process) bool { return p.Type == name || p.Name() == name }
	if !slices.ContainsFunc(processes, meant) {
		var names []string
		for _, p := range processes {
			names = append(names, p.Name())
		}
		return fmt.Errorf("no process %q of %s runs; those that do: %s", plain(name), app.Name, orNone(strings.Join(names, ", ")))
	}
	say.Step(c.out, "Restarting %s of %s %v", name, app.Name, r)
	err = c.changeRunning(name, func(w *volume.Wanted) error {
		restarts := maps.Clone(w.Restarts)
		if restarts == nil {
			restarts = map[string]string{}
		}
		restarts[name] = rand.Text()
		w.Restarts, w.Wake = restarts, rand.Text()
		return nil
	})
	if err != nil {
		return err
	}
	return c.settle(app, meant)
}

// restartable are the processes of the release that run, and where it sleeps those that will.
func (c *call) restartable(app volume.App) ([]volume.Process, error) {
	w, err := app.Wanted()
	if err != nil {
		return nil, err
	}
	types, counts, err := c.formation(app, w)
	if err != nil {
		return nil, err
	}
	if _, asleep, err := c.asleep(app, w); asleep || err != nil {
		var all []volume.Process
		for t, n := range counts {
			for i := range n {
				all = append(all, volume.Process{Type: t, Index: i + 1})
			}
		}
		return all, err
	}
	processes, err := app.Processes()
	return slices.DeleteFunc(processes, func(p volume.Process) bool { return types[p.Type] == "" }), err // what people run once
}

func stopApp(c *call) error {
	app, _, err := c.running()
	if err != nil {
		return err
	}
	err = c.changeRunning("", func(w *volume.Wanted) error {
		w.Stopped = app.Live()
		return nil
	})
	if err != nil {
		return err
	}
	if c.serving() {
		all := func(volume.Process) bool { return true }
		if err := c.settle(app, all); err != nil {
			return err
		}
	}
	say.Step(c.out, "%s is stopped; ps:start %s starts it, and so does its next release", app.Name, app.Name)
	return nil
}

func startApp(c *call) error {
	app, _, err := c.running()
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	_, asleep, err := c.asleep(app, w)
	if err != nil {
		return err
	}
	if w.Stopped != app.Live() && !asleep {
		return fmt.Errorf("%s is not stopped; ps:restart %s restarts it", app.Name, app.Name)
	}
	err = c.changeRunning("", func(w *volume.Wanted) error {
		w.Stopped, w.Wake = 0, rand.Text()
		return nil
	})
	if err != nil {
		return err
	}
	if !c.serving() {
		fmt.Fprintln(c.out, "the server is not running; this takes effect when it starts (paas serve)")
		return nil
	}
	all := func(volume.Process) bool { return true }
	err = c.settle(app, all)
	if err == nil {
		say.Step(c.out, "%s is started: %s", app.Name, c.url(app.Name))
	}
	return err
}
