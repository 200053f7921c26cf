package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"paas/builder/cmdline"
	"paas/engine"
	"paas/exitcode"
	"paas/logs"
	"paas/runtime/cron"
	"paas/volume"
)

// order is a reason to run an entry: a person asked for it if it has a token, otherwise it is due.
type order struct{ token string }

// cronRun is one run of an entry.
type cronRun struct {
	row    *row
	status *volume.CronRun // as cron.json has it; for the app's goroutine
	cancel context.CancelCauseFunc

	detached *engine.Detached

	over  chan struct{}  // closed when it has ended, or the next server takes it up
	left  bool           // the next server takes it up; valid after over
	ended volume.CronRun // how it ended; valid after over
}

// killed is the reason why a run was stopped.
type killed struct{ error }

func (k killed) Error() string { return "killed: " + k.error.Error() }

// ask runs the entry that a person asked for.
func (c *crontab) ask(ctx context.Context, q volume.CronRequest, stopped bool) {
	at := slices.IndexFunc(c.rows, func(r *row) bool { return r.ID == q.Entry && r.ID > 0 })
	switch {
	case q.Token == "":
	case at < 0:
		c.refuse(order{q.Token}, q.Entry, "skipped: its entry is gone")
	case stopped:
		c.refuse(order{q.Token}, q.Entry, "skipped: "+errAppStopped.Error())
	default:
		c.tick(ctx, c.rows[at], order{q.Token})
	}
}

// tick runs r, or does what its policy says if an earlier run goes on.
func (c *crontab) tick(ctx context.Context, r *row, o order) {
	c.unsaved = true
	switch r.Policy.Decide(len(r.runs)) {
	case cron.Run:
		c.start(ctx, r, o)
	case cron.StopFirst:
		c.drop(r, "skipped: a later run took its place")
		r.waiting = &o
		for _, run := range r.runs {
			run.cancel(killed{errReplaced})
		}
	case cron.Skip:
		since := r.runs[len(r.runs)-1].status.At.UTC().Format(time.RFC3339)
		c.loop.log.Warn("cron: skipped, since an earlier run goes on",
			"entry", r.ID, "since", since)
		why := fmt.Sprintf("skipped: the run of %s goes on", since)
		if o.token != "" {
			c.refuse(o, r.ID, why)
			return
		}
		r.status.Skipped = r.status.Tick
		file := c.file(r)
		file.Note("%s", why)
		file.Close()
	}
}

// drop gives up the run of r that waits.
func (c *crontab) drop(r *row, why string) {
	if o := r.waiting; o != nil {
		r.waiting = nil
		c.refuse(*o, r.status.ID, why)
	}
}

// refuse records why a run that a person asked for did not start. For a tick it records nothing.
func (c *crontab) refuse(o order, entry int, why string) {
	if o.token != "" {
		c.unsaved = true
		at := c.loop.rt.clock().UTC()
		run := volume.CronRun{Entry: entry, At: at, Result: why, Status: 1, Token: o.token}
		c.asked = append(c.asked, &run)
		c.forget()
	}
}

// keptAsked is how many results of runs that people asked for are kept.
const keptAsked = 20

// forget drops the oldest results, but none of a run that goes on.
func (c *crontab) forget() {
	for at := 0; len(c.asked) > keptAsked && at < len(c.asked); {
		if c.asked[at].Result == "" {
			at++
			continue
		}
		c.asked = slices.Delete(c.asked, at, at+1)
	}
}

// file is the log of an entry. Each run opens its own, so that lines of two runs do not mix.
func (c *crontab) file(r *row) *logs.File {
	return &logs.File{Path: filepath.Join(c.loop.app.Logs(), r.status.Log+".log")}
}

// start runs an entry of the live release, on another goroutine.
func (c *crontab) start(ctx context.Context, r *row, o order) {
	a, i := c.loop, c.of
	run := &cronRun{
		row: r, over: make(chan struct{}),
		status: &volume.CronRun{Entry: r.ID, Release: i.n, At: a.rt.clock().UTC(), Token: o.token},
	}
	r.runs = append(r.runs, run)
	r.status.Last = run.status
	if o.token != "" {
		c.asked = append(c.asked, run.status)
		c.forget()
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	run.cancel, run.ended = cancel, *run.status
	job := i.job(i.cronType(), r.ID, cmdline.Arguments(r.Command), a.settings)
	run.detached = detached(r.status.Log, note{App: a.born, Cron: &cronNote{
		Entry: r.ID, Schedule: r.When, Command: r.Command, Policy: r.Policy, Log: r.status.Log,
		At: run.status.At, Token: o.token,
	}})
	job.Detached = run.detached
	letGo := a.rt.hold(a.app.Name, i.release.Build) // a deploy does not stop it
	began := time.Now()
	c.attend(ctx, runCtx, run, letGo, func() (engine.Process, error) {
		return a.rt.Engine.Start(runCtx, job)
	}, func() time.Duration { return time.Since(began) })
}

// attend starts the process of a run, or finds it, on another goroutine, and waits for its end.
// runCtx is the run's own.
func (c *crontab) attend(
	ctx, runCtx context.Context, run *cronRun, letGo func(),
	start func() (engine.Process, error), took func() time.Duration,
) {
	a, out, grace := c.loop, c.file(run.row), c.loop.grace()
	a.stopping.Go(func() {
		defer letGo()
		p, err := start()
		if err == nil {
			err = awaitRun(runCtx, p, grace)
		}
		run.left = errors.Is(err, errLeft) || !a.rt.handover.stays(runCtx)
		if !run.left {
			run.end(err, took())
			out.Note("%s, after %s", run.ended.Result, run.ended.Took)
			out.Close()
		}
		run.cancel(nil)
		close(run.over)
		if !run.left {
			a.post(func() { c.ended(ctx, run) })
		}
	})
}

// awaitRun waits for the end of a run's process and returns how it ended. When ctx ends, it stops
// the process, unless the next server takes it up.
func awaitRun(ctx context.Context, p engine.Process, grace time.Duration) error {
	select {
	case <-p.Done():
		return p.Exit().Err()
	case <-ctx.Done():
		cause := context.Cause(ctx)
		if !errors.Is(cause, errLeft) {
			p.Stop(grace)
		}
		return cause
	}
}

// cronNote is what the next server learns of a run.
type cronNote struct {
	Entry             int
	Schedule, Command string
	Policy            cron.Policy
	Log               string
	At                time.Time
	Token             string
}

// adopt takes up the runs that an earlier server has started, before load has taken those without a
// result for cut off.
func (c *crontab) adopt(ctx context.Context) {
	a := c.loop
	for _, f := range a.rt.found.take(a.app.Name) {
		n := f.note.Cron
		at := slices.IndexFunc(c.rows, func(r *row) bool {
			return r.When == n.Schedule && r.Command == n.Command
		})
		if at < 0 { // of an earlier release
			c.rows = append(c.rows, &row{
				Entry:  cron.Entry{When: n.Schedule, Command: n.Command, Policy: n.Policy},
				status: volume.CronEntry{Schedule: n.Schedule, Command: n.Command, Log: n.Log},
			})
			at = len(c.rows) - 1
		}
		r := c.rows[at]
		run := &cronRun{row: r, over: make(chan struct{}), detached: f.Detached}
		run.status = c.statusOf(r, n, f.Release)
		var runCtx context.Context
		runCtx, run.cancel = context.WithCancelCause(ctx)
		run.ended = *run.status
		r.runs = append(r.runs, run)
		c.attend(ctx, runCtx, run, f.letGo, func() (engine.Process, error) { return f, nil },
			func() time.Duration {
				if f.Ended.IsZero() {
					return time.Since(f.Since)
				}
				return f.Ended.Sub(f.Since)
			})
	}
}

// statusOf returns what cron.json has of a run that goes on.
func (c *crontab) statusOf(r *row, n *cronNote, release int) *volume.CronRun {
	if last := r.status.Last; last != nil && last.At.Equal(n.At) {
		for i, asked := range c.asked {
			if asked.Token == n.Token && n.Token != "" {
				c.asked[i] = last // one value for both, as start has it
			}
		}
		return last
	}
	for _, asked := range c.asked {
		if asked.Token == n.Token && n.Token != "" {
			return asked
		}
	}
	return &volume.CronRun{Entry: n.Entry, Release: release, At: n.At, Token: n.Token}
}

// end records how the run ended.
func (run *cronRun) end(err error, took time.Duration) {
	e := &run.ended
	e.Took = took.Round(time.Millisecond)
	e.Result, e.Status = "ok", 0
	if errors.Is(err, context.Canceled) { // the server stops
		err = killed{errServerStopped}
	}
	if err != nil {
		e.Result, e.Status = err.Error(), statusOf(err)
	}
}

// statusOf is the status of a shell for how a run ended.
func statusOf(err error) int {
	if _, stopped := errors.AsType[killed](err); stopped {
		return exitcode.Signal(syscall.SIGTERM)
	}
	return exitStatus(err)
}

// note makes known how a run ended.
func (run *cronRun) note() { *run.status = run.ended }

// ended notes the end of a run and starts the run that waits for it.
func (c *crontab) ended(ctx context.Context, run *cronRun) {
	r := run.row
	run.note()
	c.recorded = append(c.recorded, run.detached)
	if s := run.status; s.Status != 0 {
		c.loop.log.Warn("cron: did not end well",
			"entry", r.status.ID, "release", s.Release, "result", s.Result)
	}
	r.runs = slices.DeleteFunc(r.runs, func(other *cronRun) bool { return other == run })
	if o := r.waiting; o != nil && len(r.runs) == 0 && ctx.Err() == nil {
		r.waiting = nil
		c.start(ctx, r, *o)
	}
	if !c.known {
		c.unsaved = true
		return
	}
	if r.ID == 0 && len(r.runs) == 0 {
		c.rows = slices.DeleteFunc(c.rows, func(other *row) bool { return other == r })
	}
	c.save()
}

// cutOffRest records that the runs that do not go on were cut off by the end of the server.
func (c *crontab) cutOffRest() {
	goesOn := map[*volume.CronRun]bool{}
	for _, r := range c.rows {
		for _, run := range r.runs {
			goesOn[run.status] = true
		}
	}
	cutOff := func(run *volume.CronRun) {
		if run != nil && run.Result == "" && !goesOn[run] {
			run.Result, run.Status = "killed: the server ended", exitcode.Signal(syscall.SIGKILL)
		}
	}
	for _, r := range c.rows {
		cutOff(r.status.Last)
	}
	for _, run := range c.asked {
		cutOff(run)
	}
}
