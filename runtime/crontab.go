package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"paas/runtime/cron"
	"paas/say"
	"paas/volume"
)

// crontab is what of an app runs by the clock. All of it is the app's goroutine's; between two ticks
// there is one timer, and without entries nothing.
type crontab struct {
	home    *home
	of      *instance // whose entries these are; nil: nobody's
	zone    *time.Location
	rows    []*row            // in order; behind them those of earlier releases of which a run goes on
	asked   []*volume.CronRun // by cron:run
	token   string            // of the last cron:run seen
	seen    time.Time         // what the clock said at the last look
	timer   *time.Timer       // wakes the app at the next tick
	unsaved bool              // cron.json is behind
	saving  retry             // of cron.json
}

// row is an entry and what became of it. It goes with the schedule and the command from one release to
// the next.
type row struct {
	cron.Entry // its ID is 0 where the live release does not have it
	status     volume.CronEntry
	runs       []*cronRun // that go on
	waiting    *order     // runs when those have ended
}

// load takes up what an earlier life of the server knew.
func (c *crontab) load() {
	h := c.home
	state, err := h.app.Cron()
	if err != nil {
		h.log.Error("cannot tell what ran by the clock", "err", err)
		c.unsaved = volume.IsDamage(err)
	}
	for _, status := range state.Entries {
		cutOffRun(status.Last)
		c.rows = append(c.rows, &row{Entry: cron.Entry{When: status.Schedule, Command: status.Command}, status: status})
	}
	for _, run := range state.Asked {
		cutOffRun(&run)
		c.asked = append(c.asked, &run)
	}
	settings, err := h.readWanted()
	if err != nil {
		h.complain("read what should run", err)
	}
	c.token = settings.Cron.Token
	if r := settings.Cron; r.Token != "" && !slices.ContainsFunc(c.asked, func(run *volume.CronRun) bool { return run.Token == r.Token }) {
		c.refuse(order{r.Token}, r.Entry, "skipped: the server has just started; run it again")
	}
}

// take makes the entries of i those that run by the clock.
func (c *crontab) take(i *instance) {
	if c.of == i {
		return
	}
	h := c.home
	entries, err := i.cron()
	if err != nil { // of a release from before there was cron
		h.log.Error("nothing runs by the clock", "release", i.n, "err", err)
	}
	zone, _ := i.zone()
	former := c.rows
	c.unsaved = c.unsaved || len(former) > 0 || len(entries) > 0
	c.rows = nil
	for _, e := range entries {
		r := &row{}
		if at := slices.IndexFunc(former, func(f *row) bool { return f.When == e.When && f.Command == e.Command }); at >= 0 {
			r = former[at]
			former = slices.Delete(former, at, at+1)
		}
		r.Entry = e
		s := &r.status
		s.ID, s.From, s.Schedule, s.Command, s.Policy = e.ID, e.From, e.When, e.Command, string(e.Policy)
		if c.of == nil || c.zone.String() != zone.String() {
			s.Next = time.Time{}
		}
		c.rows = append(c.rows, r)
	}
	c.of, c.zone = i, zone
	c.keepRunning(former)
	c.plan(h.rt.clock().Round(0))
}

// promote is take, and records that on the volume.
func (c *crontab) promote(i *instance) {
	c.take(i)
	if c.unsaved {
		c.save()
	}
}

// giveBack ends what release n runs by the clock, and makes the entries of i, which had the traffic
// before, those that run; nil: none do.
func (c *crontab) giveBack(i *instance, n int) {
	for _, r := range c.rows {
		for _, run := range r.runs {
			if run.status.Release == n {
				run.cancel(killed{errTakenBack})
			}
		}
	}
	if i == nil || i.load() != nil { // follow takes them once they can be read
		c.halt(errTakenBack)
		return
	}
	c.promote(i)
}

// keepRunning keeps of rows that the live release does not have those of which a run goes on.
func (c *crontab) keepRunning(former []*row) {
	for _, r := range former {
		r.ID, r.status.Next = 0, time.Time{} // else it would be due for ever
		c.drop(r, "skipped: its entry is gone")
		if len(r.runs) > 0 {
			c.rows = append(c.rows, r)
		}
	}
}

// plan finds out when each entry is due next, where that is not known.
func (c *crontab) plan(now time.Time) {
	for _, r := range c.rows {
		if r.ID == 0 || !r.status.Next.IsZero() {
			continue
		}
		from := now
		if ahead := r.status.Tick.Sub(now); ahead > 0 && ahead <= setBack {
			from = r.status.Tick // it was due then already, before the clock was set back
		}
		if next := r.Schedule.Next(from.In(c.zone)); !next.IsZero() {
			r.status.Next = next.UTC()
			c.unsaved = true
		}
	}
}

// setBack is how far back a clock may be set without anything running twice. Farther is a clock
// that was wrong, by years perhaps, and what was due by it counts no more (cron(8) has the same three
// hours).
const setBack = 3 * time.Hour

// follow runs what is due of release i, which has the traffic, and what cron:run asked for, and wakes the
// app for what is due next. Calling it again is harmless.
func (c *crontab) follow(ctx context.Context, i *instance, s volume.Wanted) {
	c.take(i)
	if len(c.rows) == 0 && !c.unsaved {
		return
	}
	now := c.home.rt.clock().Round(0) // the wall's clock: what went by meanwhile is of no interest
	back := now.Before(c.seen)
	c.seen = now
	if s.Stopped == i.n {
		c.rest(errAppStopped)
	} else {
		c.look(ctx, now, back)
	}
	if r := s.Cron; r.Token != c.token {
		c.token = r.Token
		c.ask(ctx, r, s.Stopped == i.n)
	}
	if c.unsaved && !c.saving.early() {
		c.save()
	}
}

// look runs what is due.
func (c *crontab) look(ctx context.Context, now time.Time, back bool) {
	if back {
		for _, r := range c.rows {
			r.status.Next = time.Time{}
		}
	}
	var due []*row
	for _, r := range c.rows {
		if next := r.status.Next; r.ID > 0 && !next.IsZero() && !now.Before(next) {
			r.status.Tick, r.status.Next = next, time.Time{} // once, however many ticks have gone by
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
		c.timer = time.AfterFunc(in, c.home.poke)
		return
	}
	c.timer.Reset(in)
}

// running reports whether a run goes on.
func (c *crontab) running() bool {
	return slices.ContainsFunc(c.rows, func(r *row) bool { return len(r.runs) > 0 })
}

// rest stops what runs by the clock, and runs nothing more for now.
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

// halt is rest where no release has the traffic any more.
func (c *crontab) halt(why error) {
	c.rest(why)
	former := c.rows
	c.of, c.rows = nil, nil
	c.keepRunning(former)
	if len(former) > 0 {
		c.save()
	}
}

// stop ends all of it as the app's goroutine ends. What became of the runs is recorded when they have
// ended; h.stopping waits for that.
func (c *crontab) stop() {
	c.rest(errServerStopped)
	h := c.home
	var runs []*cronRun
	for _, r := range c.rows {
		runs = append(runs, r.runs...)
	}
	if len(runs) == 0 && (c.of == nil || len(c.rows) == 0 && !c.unsaved) { // what was written stays
		return
	}
	h.stopping.Go(func() {
		for _, run := range runs {
			<-run.over
			run.note()
		}
		if h.there() {
			c.save()
		}
	})
}

var (
	errAppStopped    = errors.New("the app is stopped")
	errInPlace       = errors.New("the app is in watch mode")
	errTakenBack     = errors.New("its release was taken back")
	errServerStopped = errors.New("the server stopped")
	errReplaced      = errors.New("its next run took its place")
)

// save records on the volume how things stand.
func (c *crontab) save() {
	h := c.home
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
	err := h.app.SetCron(state)
	c.saving.ended(err)
	c.unsaved = c.saving.pending()
}

// cron are the release's entries.
func (i *instance) cron() ([]cron.Entry, error) {
	return cron.Entries(i.built.Processes, i.file.Cron)
}

// zone is the clock that the release's entries go by: that of its config var TZ, else the server's. The
// error says why it is the server's in spite of TZ.
func (i *instance) zone() (*time.Location, error) {
	name := strings.TrimPrefix(i.release.Settings.Config["TZ"], ":") // tzset(3)
	if name == "" {
		return time.Local, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil { // not repeated: a config var is nobody's business
		return time.Local, errors.New("the config var TZ names no time zone, such as Europe/Berlin; cron goes by the server's clock")
	}
	return zone, nil
}

// sayCron shows what will run by the clock, and by which clock. The error names the line that is wrong.
func (i *instance) sayCron(file io.Writer) error {
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
