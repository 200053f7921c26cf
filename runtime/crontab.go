package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"paas/engine"
	"paas/formation"
	"paas/runtime/cron"
	"paas/say"
	"paas/volume"
)

// crontab is what runs by the clock in an app. It is for the app's goroutine. Between two ticks it
// costs one timer, and without entries nothing.
type crontab struct {
	loop    *appLoop
	of      *instance // the release that has these entries; nil: none
	known   bool      // it is known which one does; else rows are those of an earlier server
	zone    *time.Location
	rows    []*row            // in order, then those of earlier releases that have a run
	asked   []*volume.CronRun // runs that people asked for
	token   string            // of the last run that a person asked for
	seen    time.Time         // the wall clock when it was last checked
	timer   *time.Timer       // has the app reconcile at the next tick
	unsaved bool              // cron.json is out of date
	saving  retry             // of cron.json

	recorded []*engine.Detached // runs that the engine can forget once cron.json is written
}

// row is an entry and its runs. A later release with the same schedule and command keeps it.
type row struct {
	cron.Entry // its ID is 0 if the live release does not have it
	status     volume.CronEntry
	runs       []*cronRun // those that go on
	waiting    *order     // runs when those have ended; nil: nothing waits
}

// load reads what was recorded before the server started, and takes up the runs that go on. ctx is
// that of the app's goroutine.
func (c *crontab) load(ctx context.Context) {
	a := c.loop
	state, err := a.app.Cron()
	if err != nil {
		a.log.Error("cannot tell what ran by the clock", "err", err)
		c.unsaved = volume.IsDamage(err)
	}
	for _, status := range state.Entries {
		entry := cron.Entry{When: status.Schedule, Command: status.Command}
		c.rows = append(c.rows, &row{Entry: entry, status: status})
	}
	for _, run := range state.Asked {
		c.asked = append(c.asked, &run)
	}
	c.adopt(ctx)
	c.cutOffRest()
	settings, err := a.readWanted()
	if err != nil {
		a.complain("read what should run", err)
	}
	c.token = settings.Cron.Token
	r := settings.Cron
	known := func(run *volume.CronRun) bool { return run.Token == r.Token }
	if r.Token != "" && !slices.ContainsFunc(c.asked, known) {
		c.refuse(order{r.Token}, r.Entry, "skipped: the server has just started; run it again")
	}
}

// take replaces the entries with those of i.
func (c *crontab) take(i *instance) {
	if c.of == i {
		return
	}
	a := c.loop
	entries, err := i.cron()
	if err != nil { // the release is older than cron
		a.log.Error("nothing runs by the clock", "release", i.n, "err", err)
	}
	zone, _ := i.zone()
	former := c.rows
	c.unsaved = c.unsaved || len(former) > 0 || len(entries) > 0
	c.rows = nil
	for _, e := range entries {
		r := &row{}
		same := func(f *row) bool { return f.When == e.When && f.Command == e.Command }
		if at := slices.IndexFunc(former, same); at >= 0 {
			r = former[at]
			former = slices.Delete(former, at, at+1)
		}
		r.Entry = e
		s := &r.status
		s.ID, s.From, s.Schedule, s.Command = e.ID, e.From, e.When, e.Command
		s.Policy, s.Log = string(e.Policy), fmt.Sprintf("%s.%d", i.cronType(), e.ID)
		if c.of == nil || c.zone.String() != zone.String() {
			s.Next = time.Time{}
		}
		c.rows = append(c.rows, r)
	}
	c.of, c.zone, c.known = i, zone, true
	c.keepRunning(former)
	c.plan(a.rt.clock().Round(0))
}

// promote is like take, and records the entries on the volume.
func (c *crontab) promote(i *instance) {
	c.take(i)
	if c.unsaved {
		c.save()
	}
}

// giveBack stops the runs of release n, and brings back the entries of i, which had the traffic
// before; i may be nil.
func (c *crontab) giveBack(i *instance, n int) {
	for _, r := range c.rows {
		for _, run := range r.runs {
			if run.status.Release == n {
				run.cancel(killed{errTakenBack})
			}
		}
	}
	if i == nil || i.load() != nil { // follow takes them when they can be read
		c.halt(errTakenBack)
		return
	}
	c.promote(i)
}

// keepRunning keeps those rows of an earlier release that have a run.
func (c *crontab) keepRunning(former []*row) {
	for _, r := range former {
		r.ID, r.status.Next = 0, time.Time{} // else it would stay due
		c.drop(r, "skipped: its entry is gone")
		if len(r.runs) > 0 {
			c.rows = append(c.rows, r)
		}
	}
}

// plan sets when each entry is due next, if that is not known.
func (c *crontab) plan(now time.Time) {
	for _, r := range c.rows {
		if r.ID == 0 || !r.status.Next.IsZero() {
			continue
		}
		from := now
		if ahead := r.status.Tick.Sub(now); ahead > 0 && ahead <= setBack {
			from = r.status.Tick // it has run for that time, before the clock was set back
		}
		if next := r.Schedule.Next(from.In(c.zone)); !next.IsZero() {
			r.status.Next = next.UTC()
			c.unsaved = true
		}
	}
}

// setBack is how far back a clock may be set without anything running twice. If it is set back
// farther, it was wrong, and what was due by it does not count (cron(8) has the same three hours).
const setBack = 3 * time.Hour

// follow runs the entries of i, the live release, that are due or that a person asked for, and sets
// the timer for the next one. Calling it again is harmless.
func (c *crontab) follow(ctx context.Context, i *instance, s volume.Wanted) {
	c.take(i)
	if len(c.rows) == 0 && !c.unsaved {
		return
	}
	now := c.loop.rt.clock().Round(0) // the wall clock alone
	back := now.Before(c.seen)
	c.seen = now
	if s.Stopped == i.n {
		c.rest(errAppStopped)
	} else {
		c.runDue(ctx, now, back)
	}
	if r := s.Cron; r.Token != c.token {
		c.token = r.Token
		c.ask(ctx, r, s.Stopped == i.n)
	}
	if c.unsaved && !c.saving.early() {
		c.save()
	}
}

// runDue runs what is due.
func (c *crontab) runDue(ctx context.Context, now time.Time, back bool) {
	if back {
		for _, r := range c.rows {
			r.status.Next = time.Time{}
		}
	}
	var due []*row
	for _, r := range c.rows {
		if next := r.status.Next; r.ID > 0 && !next.IsZero() && !now.Before(next) {
			r.status.Tick, r.status.Next = next, time.Time{} // once, however many ticks were missed
			due = append(due, r)
		}
	}
	c.unsaved = c.unsaved || len(due) > 0
	c.plan(now)
	for _, r := range due {
		c.tick(ctx, r, order{})
	}
	var first time.Time
	for _, r := range c.rows {
		if next := r.status.Next; !next.IsZero() && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	if !first.IsZero() {
		c.wake(first.Sub(now))
	}
}

func (c *crontab) wake(in time.Duration) {
	if c.timer == nil {
		c.timer = time.AfterFunc(in, c.loop.poke)
		return
	}
	c.timer.Reset(in)
}

// running reports whether a run goes on.
func (c *crontab) running() bool {
	return slices.ContainsFunc(c.rows, func(r *row) bool { return len(r.runs) > 0 })
}

// rest stops all runs, and nothing runs until follow is called.
func (c *crontab) rest(why error) {
	if c.timer != nil {
		c.timer.Stop()
	}
	for _, r := range c.rows {
		c.drop(r, "skipped: "+why.Error())
		for _, run := range r.runs {
			run.cancel(killed{why})
		}
		c.unsaved = c.unsaved || !r.status.Next.IsZero()
		r.status.Next = time.Time{}
	}
}

// halt is like rest, for when no release has the traffic any more.
func (c *crontab) halt(why error) {
	c.rest(why)
	former := c.rows
	c.of, c.rows, c.known = nil, nil, true
	c.keepRunning(former)
	if len(former) > 0 {
		c.save()
	}
}

// stop stops all runs when the app's goroutine ends. The results are recorded when the runs have
// ended; a.stopping waits for that.
func (c *crontab) stop() {
	c.rest(errServerStopped)
	a := c.loop
	var runs []*cronRun
	for _, r := range c.rows {
		runs = append(runs, r.runs...)
	}
	if len(runs) == 0 && (c.of == nil || len(c.rows) == 0 && !c.unsaved) { // nothing to write
		return
	}
	a.stopping.Go(func() {
		for _, run := range runs {
			<-run.over
			run.note()
			c.recorded = append(c.recorded, run.detached)
		}
		if a.there() {
			c.save()
		}
	})
}

// letGo leaves the runs to the next server. The app's goroutine must not use c afterwards.
func (c *crontab) letGo() {
	if c.timer != nil {
		c.timer.Stop()
	}
	for _, r := range c.rows {
		for _, run := range r.runs {
			run.cancel(errLeft)
		}
	}
}

var (
	errAppStopped    = errors.New("the app is stopped")
	errOnlyFiles     = errors.New("the app is in mode worktree")
	errTakenBack     = errors.New("its release was taken back")
	errServerStopped = errors.New("the server stopped")
	errReplaced      = errors.New("its next run took its place")
)

// save writes cron.json.
func (c *crontab) save() {
	a := c.loop
	state := volume.Cron{Entries: []volume.CronEntry{}}
	if c.of != nil {
		state.Release = c.of.n
		if c.zone != time.Local {
			state.Zone = c.zone.String()
		}
	}
	for _, r := range c.rows {
		if r.ID > 0 {
			state.Entries = append(state.Entries, r.status)
		}
	}
	for _, run := range c.asked {
		state.Asked = append(state.Asked, *run)
	}
	err := a.app.SetCron(state)
	c.saving.ended(err)
	c.unsaved = c.saving.pending()
	if err == nil {
		for _, d := range c.recorded {
			a.rt.forget(d)
		}
		c.recorded = nil
	}
}

// cron returns the release's entries.
func (i *instance) cron() ([]cron.Entry, error) {
	return cron.Entries(i.built.Processes, i.file.Cron)
}

// cronType is the type of the release's scheduled commands.
func (i *instance) cronType() string { return formation.CronType(i.built.Processes) }

// zone returns the time zone of the release's entries: that of its config var TZ, else the
// server's. The error says why it is the server's although TZ is set.
func (i *instance) zone() (*time.Location, error) {
	name := strings.TrimPrefix(i.release.Settings.Config["TZ"], ":") // tzset(3)
	if name == "" {
		return time.Local, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil { // the value is not shown: it may be a secret
		return time.Local, errors.New("the config var TZ names no time zone, such as Europe/Berlin; " +
			"cron goes by the server's clock")
	}
	return zone, nil
}

// sayCron shows how many entries there are and which clock they go by. The error names a wrong
// line.
func (i *instance) sayCron(file io.Writer) error {
	for _, t := range slices.Sorted(maps.Keys(formation.Lines(i.built))) {
		if formation.MayBeCron(t) {
			say.Detail(file, "%s does not begin like a line of a crontab, such as `*/10 * * * * "+
				"node tidy.js`: it is a process like any other", t)
		}
	}
	entries, err := i.cron()
	if err != nil || len(entries) == 0 {
		return err
	}
	zone, err := i.zone()
	if err != nil {
		say.Fault(file, "%v", err)
	}
	clock := "the server's clock"
	if zone != time.Local {
		clock = "the clock of " + zone.String()
	}
	commands := "1 command"
	if n := len(entries); n > 1 {
		commands = fmt.Sprintf("%d commands", n)
	}
	say.Step(file, "Cron: %s, by %s", commands, clock)
	return nil
}
