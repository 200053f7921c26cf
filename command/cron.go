package command

import (
	"cmp"
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

	"paas/access"
	"paas/say"
	"paas/volume"
)

func cronRows() []Row {
	return []Row{
		Verb[appInput, cronAnswer]{
			Head: Head{
				Name: "cron", Group: Running, Needs: access.View,
				Example: "blog",
				Short:   "show what runs by the clock, when next, and how the last run ended",
			},
			Run:  showCron,
			Text: printCron,
		},
		Stream[runCronInput, Progress]{
			Head: Head{
				Name: "cron:run", Group: Running, Needs: access.Deploy,
				Example: "blog 1",
				Short:   "run an entry of cron now, and end with its exit status",
			},
			Run:  runCron,
			Text: printProgress,
		},
	}
}

// cronAnswer is what runs by the clock.
type cronAnswer struct {
	App     string             `json:"app"`
	Zone    string             `json:"zone,omitempty"` // of the schedules; empty: the server's
	Entries []volume.CronEntry `json:"entries"`
}

func showCron(c *Call, in appInput) (cronAnswer, error) {
	app, err := c.App(in.App)
	if err != nil {
		return cronAnswer{}, err
	}
	state, err := c.cron(app)
	return cronAnswer{app.Name, state.Zone, listed(state.Entries)}, err
}

func printCron(p *Page, a cronAnswer) {
	if len(a.Entries) == 0 {
		p.line("nothing of %s runs by the clock; "+
			"add a line like `cron: */10 * * * * node tidy.js` to the Procfile", a.App)
		return
	}
	zone := time.Local
	if z, err := time.LoadLocation(a.Zone); err == nil && a.Zone != "" {
		zone = z
	}
	name, _ := time.Now().In(zone).Zone()
	heading := fmt.Sprintf("ID\tSCHEDULE (%s)\tNEXT\tLAST\tRESULT\tCOMMAND", cmp.Or(a.Zone, name))
	list(p, a.Entries, heading, func(e volume.CronEntry) string {
		last, result := "-", "-"
		if e.Last != nil {
			last, result = when(e.Last.At), cronResult(*e.Last)
		}
		if !e.Skipped.IsZero() && (e.Last == nil || e.Skipped.After(e.Last.At)) {
			result += "; skipped at " + when(e.Skipped)
		}
		return fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s",
			e.ID, e.Schedule, when(e.Next), last, result, plain(e.Command))
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

type runCronInput struct {
	App string `json:"app" arg:"APP"`
	ID  int    `json:"id" arg:"ID"`
}

func runCron(c *Call, in runCronInput, events Teller[Progress]) error {
	p := progress{events}
	app, done, err := c.turn(in.App)
	if err != nil {
		return err
	}
	defer done()
	entry, err := c.cronEntry(app, in.ID)
	if err != nil {
		return err
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	w.Cron = volume.CronRequest{Entry: in.ID, Token: rand.Text()}
	path := filepath.Join(app.Logs(), entry.Log+".log")
	var end int64
	if info, err := os.Stat(path); err == nil {
		end = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.step("Running %s", plain(entry.Command))
	if err := app.SetWanted(w); err != nil {
		return err
	}
	c.did(app.Name, strconv.Itoa(in.ID))
	stop := c.followFile(path, end, p)
	run, err := c.awaitCron(app, w.Cron.Token, done)
	stop()
	if err == nil && run.Status != 0 {
		err = &Fault{Kind: Failed, Err: errors.New(cronResult(run)), Status: run.Status}
	}
	if err != nil {
		return err
	}
	p.step("%s", cronResult(run))
	return nil
}

// cronEntry is the entry of that number. It is a fault if it cannot be run now.
func (c *Call) cronEntry(app volume.App, id int) (e volume.CronEntry, err error) {
	if app.Live() == 0 {
		return e, notLive(app)
	}
	if err := serverRuns(app); err != nil {
		return e, err
	}
	if !c.serving() {
		return e, errNothingRuns
	}
	w, err := app.Wanted()
	if err == nil && w.Stopped == app.Live() {
		err = conflict("ps:start "+app.Name+" starts it", "%s is stopped", app.Name)
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
		return e, &Fault{
			Kind: NotFound, Field: "id", Next: "cron " + app.Name + " shows those it has",
			Err: fmt.Errorf("%s has no entry %d", app.Name, id),
		}
	}
	return state.Entries[at], nil
}

// followFile tells what is written to the file from offset on, until stop is called.
func (c *Call) followFile(path string, offset int64, p progress) (stop func()) {
	ctx, cancel := context.WithCancel(c)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out := say.NewIndent(progressLog{p})
		volume.Follow(ctx, path, offset, out)
		out.Close()
	}()
	return func() { cancel(); <-ended }
}

// awaitCron waits until the run that was asked for is over. begun is called when the runtime has
// taken the request: until then nobody else may make one.
func (c *Call) awaitCron(
	app volume.App, token string, begun func(),
) (run volume.CronRun, err error) {
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
