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
	"paas/logs"
	"paas/runtime/cron"
	"paas/volume"
)

// order is why an entry is to run: cron:run where it has a token, else it is due.
type order struct{ token string }

// cronRun is one run of an entry.
type cronRun struct {
	row    *row
	status *volume.CronRun // as it is shown, on the app's goroutine
	cancel context.CancelCauseFunc

	over  chan struct{}  // closed when nothing of it is left
	ended volume.CronRun // how it ended; once over
}

// killed is why a run was ended.
type killed struct{ error }

func (k killed) Error() string { return "killed: " + k.error.Error() }

// ask does what cron:run asks for.
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

// tick runs r, or does what its policy says while an earlier run goes on.
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
		since := r.runs[len(r.runs)-1].status.At.In(c.zone).Format(time.DateTime)
		c.home.log.Warn("cron: skipped, since an earlier run goes on", "entry", r.ID, "since", since)
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

// drop gives up what waits to run of r.
func (c *crontab) drop(r *row, why string) {
	if o := r.waiting; o != nil {
		r.waiting = nil
		c.refuse(*o, r.status.ID, why)
	}
}

// refuse tells who asked for a run that there is none; nobody asked for a tick.
func (c *crontab) refuse(o order, entry int, why string) {
	if o.token != "" {
		c.unsaved = true
		c.asked = append(c.asked, &volume.CronRun{Entry: entry, At: c.home.rt.clock().UTC(), Result: why, Status: 1, Token: o.token})
		c.forget()
	}
}

// keptAsked is how many answers to cron:run are kept for those who wait for them.
const keptAsked = 20

// forget lets go of the oldest answers, but of none that is still to come.
func (c *crontab) forget() {
	for at := 0; len(c.asked) > keptAsked && at < len(c.asked); {
		if c.asked[at].Result == "" {
			at++
			continue
		}
		c.asked = slices.Delete(c.asked, at, at+1)
	}
}

// file is the log of an entry's runs. Each run opens its own, so that lines of two do not mix.
func (c *crontab) file(r *row) *logs.File {
	return &logs.File{Path: filepath.Join(c.home.app.Logs(), fmt.Sprintf("cron.%d.log", r.status.ID))}
}

// start runs an entry, as it is in the live release, until it ends by itself.
func (c *crontab) start(ctx context.Context, r *row, o order) {
	h, i, out := c.home, c.of, c.file(r)
	run := &cronRun{
		row: r, over: make(chan struct{}),
		status: &volume.CronRun{Entry: r.ID, Release: i.n, At: h.rt.clock().UTC(), Token: o.token},
	}
	r.runs = append(r.runs, run)
	r.status.Last = run.status
	if o.token != "" {
		c.asked = append(c.asked, run.status)
		c.forget()
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	run.cancel, run.ended = cancel, *run.status
	job := i.job("cron", r.ID, cmdline.Arguments(r.Command), h.settings)
	job.Out = out
	grace, began := h.grace(), time.Now()
	letGo := h.rt.hold(h.app.Name, i.release.Build) // a deploy meanwhile does not end it
	h.stopping.Go(func() {
		defer letGo()
		err := h.rt.runToEnd(runCtx, job, grace)
		run.end(err, time.Since(began))
		cancel(nil)
		out.Note("%s, after %s", run.ended.Result, run.ended.Took)
		out.Close()
		close(run.over)
		h.post(func() { c.ended(ctx, run) })
	})
}

// end says how the run came to its end.
func (run *cronRun) end(err error, took time.Duration) {
	e := &run.ended
	e.Took = took.Round(time.Millisecond)
	e.Result, e.Status = "ok", 0
	if errors.Is(err, context.Canceled) { // the server's own
		err = killed{errServerStopped}
	}
	if err != nil {
		e.Result, e.Status = err.Error(), statusOf(err)
	}
}

// statusOf is what a shell would make of how a run ended.
func statusOf(err error) int {
	if _, stopped := errors.AsType[killed](err); stopped {
		return 128 + int(syscall.SIGTERM)
	}
	return exitStatus(err)
}

// note takes what became of a run that is over.
func (run *cronRun) note() { *run.status = run.ended }

// ended notes a run that is over, and starts what waited for it.
func (c *crontab) ended(ctx context.Context, run *cronRun) {
	r := run.row
	run.note()
	if s := run.status; s.Status != 0 {
		c.home.log.Warn("cron: did not end well", "entry", r.status.ID, "release", s.Release, "result", s.Result)
	}
	r.runs = slices.DeleteFunc(r.runs, func(other *cronRun) bool { return other == run })
	if o := r.waiting; o != nil && len(r.runs) == 0 && ctx.Err() == nil {
		r.waiting = nil
		c.start(ctx, r, *o)
	}
	c.rows = slices.DeleteFunc(c.rows, func(other *row) bool { return other == r && r.ID == 0 && len(r.runs) == 0 })
	c.save()
}

// cutOffRun ends a run that an earlier life of the server began; nil is none.
func cutOffRun(run *volume.CronRun) {
	if run != nil && run.Result == "" {
		run.Result, run.Status = "killed: the server ended", 128+int(syscall.SIGKILL)
	}
}
