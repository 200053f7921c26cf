package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"paas/command"
	"paas/say"
	"paas/volume"
)

var cronVerbs = []verb{
	{use: "cron APP", short: "what runs by the clock, when next, and how the last run ended", args: args(1, 1), flags: withFormat, run: showCron},
	{use: "cron:run APP ID", short: "run an entry of cron now; ends with its exit status", args: args(2, 2), run: runCron},
}

// cron is what runs of the app by the clock; nothing does without a server.
func (c *call) cron(app volume.App) (volume.Cron, error) {
	state, err := app.Cron()
	if err != nil {
		return state, err
	}
	if state.Release == 0 || state.Release != app.Live() {
		state.Entries = nil
	}
	for i := range state.Entries {
		e := &state.Entries[i]
		if c.serving() {
			continue
		}
		e.Next = time.Time{}
		if e.Last != nil && e.Last.Result == "" {
			e.Last.Result = "killed: the server ended"
		}
	}
	return state, nil
}

func showCron(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	state, err := c.cron(app)
	if err != nil {
		return err
	}
	zone := time.Local
	if z, err := time.LoadLocation(state.Zone); err == nil && state.Zone != "" {
		zone = z
	}
	clock := func(t time.Time, layout string) string {
		if t.IsZero() {
			return "-"
		}
		return t.In(zone).Format(layout)
	}
	none := "nothing of " + app.Name + " runs by the clock; add a line like `cron: */10 * * * * node tidy.js` to the Procfile"
	return list(c, state.Entries, none, "ID\tSCHEDULE\tNEXT\tLAST\tRESULT\tCOMMAND", func(e volume.CronEntry) string {
		last, result := "-", "-"
		if e.Last != nil {
			last, result = clock(e.Last.At, "2006-01-02 15:04:05"), cronResult(*e.Last)
		}
		if !e.Skipped.IsZero() && (e.Last == nil || e.Skipped.After(e.Last.At)) {
			result += "; skipped at " + clock(e.Skipped, "15:04")
		}
		return fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s", e.ID, e.Schedule, clock(e.Next, "2006-01-02 15:04 MST"), last, result, plain(e.Command))
	})
}

// cronResult is how a run ended, in words.
func cronResult(r volume.CronRun) string {
	switch {
	case r.Result == "":
		return "running"
	case r.Took > 0:
		return fmt.Sprintf("%s after %s", plain(r.Result), r.Took)
	}
	return plain(r.Result)
}

func runCron(c *call) error {
	id, err := strconv.Atoi(c.args[1])
	if err != nil || id < 1 {
		return usageError(fmt.Errorf("%q is not the number of an entry; cron %s shows them", plain(c.args[1]), plain(c.args[0])))
	}
	app, done, err := c.turn()
	if err != nil {
		return err
	}
	defer done()
	entry, err := c.cronEntry(app, id)
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	w.Cron = volume.CronRequest{Entry: id, Token: rand.Text()}
	path := filepath.Join(app.Logs(), fmt.Sprintf("cron.%d.log", id))
	var end int64
	if info, err := os.Stat(path); err == nil {
		end = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	say.Step(c.out, "Running %s", plain(entry.Command))
	if err := app.SetWanted(w); err != nil {
		return err
	}
	c.record("cron:run", app.Name, strconv.Itoa(id))
	stop := c.showFile(path, end)
	run, err := c.awaitCron(app, w.Cron.Token, done)
	stop()
	switch {
	case err != nil:
		return err
	case run.Status == 0:
		say.Step(c.out, "%s", cronResult(run))
		return nil
	}
	say.Fault(c.err, "%s", cronResult(run))
	return command.Exit(run.Status)
}

// cronEntry is the entry of that number, or why it cannot be run now.
func (c *call) cronEntry(app volume.App, id int) (e volume.CronEntry, err error) {
	if app.Live() == 0 {
		return e, fmt.Errorf("nothing of %s is live yet; git push deploys it", app.Name)
	}
	if err := notInPlace(app); err != nil {
		return e, err
	}
	if !c.serving() {
		return e, errors.New("the server is not running; start it: paas serve")
	}
	w, err := app.Wanted()
	if err == nil && w.Stopped == app.Live() {
		err = fmt.Errorf("%s is stopped; ps:start %s starts it", app.Name, app.Name)
	}
	if err != nil {
		return e, err
	}
	state, err := c.cron(app)
	if err != nil {
		return e, err
	}
	at := slices.IndexFunc(state.Entries, func(e volume.CronEntry) bool { return e.ID == id })
	if at < 0 {
		return e, fmt.Errorf("%s has no entry %d; cron %s shows those it has", app.Name, id, app.Name)
	}
	return state.Entries[at], nil
}

// showFile shows what is written to a log from offset on, until stop.
func (c *call) showFile(path string, offset int64) (stop func()) {
	ctx, cancel := context.WithCancel(c)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out := say.NewIndent(c.out)
		volume.Follow(ctx, path, offset, out)
		out.Close()
	}()
	return func() { cancel(); <-ended }
}

// awaitCron waits until the run that was asked for is over. begun is called when the runtime has taken the
// request up: until then nobody else may make one.
func (c *call) awaitCron(app volume.App, token string, begun func()) (run volume.CronRun, err error) {
	ctx, stop := c.whileServing()
	defer stop()
	err = app.Await(ctx, func() (bool, error) {
		if !app.Exists() {
			return false, volume.ErrNoApp
		}
		state, err := app.Cron()
		at := slices.IndexFunc(state.Asked, func(r volume.CronRun) bool { return r.Token == token })
		if err != nil || at < 0 {
			return false, err
		}
		begun()
		run = state.Asked[at]
		return run.Result != "", nil
	})
	if context.Cause(ctx) == errStopped {
		err = errors.New("the server has stopped, and the run with it")
	}
	return run, err
}
