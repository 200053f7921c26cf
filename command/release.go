package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"paas/deploy"
	"paas/volume"
)

// turn waits for the turn to deploy the app of that name.
func (c *Call) turn(name string) (app volume.App, done func(), err error) {
	if app, err = c.App(name); err != nil {
		return app, nil, err
	}
	done, err = deploy.Turn(c, app, c.Caller.Name+"'s "+c.verb, c.waiting)
	if err != nil {
		return app, nil, err
	}
	if err := c.stillMay(name); err != nil {
		done()
		return app, nil, err
	}
	return app, done, nil
}

// again makes a new release of an old one of the app.
func (c *Call) again(
	name, cause string, p progress, old func(volume.App) (r volume.Release, note string, err error),
) error {
	app, done, err := c.turn(name)
	if err != nil {
		return err
	}
	defer done()
	if app.Live() == 0 {
		return notLive(app)
	}
	if err := serverRuns(app); err != nil && !(cause == volume.CauseRollback && volume.IsDamage(err)) {
		return err
	}
	base, note, err := old(app)
	if err != nil {
		return err
	}
	if err := c.release(app, base, cause, note, p); err != nil {
		return err
	}
	done()
	c.awaitBranch(app)
	return nil
}

// release makes base the app's next release and waits until it is live. If the call ends before
// that, nothing has changed. The caller holds the turn.
func (c *Call) release(app volume.App, base volume.Release, cause, note string, p progress) error {
	if !c.serving() {
		return errNotServing
	}
	base.By, base.Cause, base.Note = c.Caller.Name, cause, note
	ctx, stop := c.whileServing()
	defer stop()
	r, err := app.Publish(base)
	if err != nil {
		return err
	}
	maker := deploy.Maker{App: app, URL: c.URL, Out: progressLog{p}}
	s, err := maker.Release(ctx, r, nil)
	if context.Cause(ctx) == errStopped {
		return errStopped
	}
	if err != nil {
		return err
	}
	return c.ended(maker, r, s, note, p)
}

// ended records how the release ended, and tells it.
func (c *Call) ended(m deploy.Maker, r volume.Release, s volume.Status, note string, p progress) error {
	app := m.App
	lives := s.State == volume.Live || s.State == volume.Retired
	end := volume.Broke
	if lives {
		end = volume.OK
	}
	c.record(app.Name, strings.TrimSpace(r.String()+" "+note)+": "+string(s.State), end)
	if lives {
		p.live(m, r)
		return nil
	}
	stays := "it has no live release"
	if n := app.Live(); n > 0 {
		stays = fmt.Sprintf("v%d keeps serving", n)
	}
	return &Fault{
		Kind: Failed, Next: joined(s.Hint, Advice(s.Remedy, c.how)),
		Err: fmt.Errorf("%s %v: %s\nnothing changed: %s", app.Name, r, s.Reason, stays),
	}
}

var errNotServing = conflict("start it: paas serve",
	"the server is not running, and only it can make a release live")

// errNothingRuns is the fault of a verb that needs the server to run a command.
var errNothingRuns = conflict("start it: paas serve",
	"the server is not running, and apps run in it")

// errStopped ends the wait for a server that no longer runs.
var errStopped error = &Fault{
	Kind: Failed, Err: errors.New("the server has stopped"),
	Next: "paas releases shows what became of it",
}

// whileServing is the call's context. It also ends when no server runs the apps any more.
func (c *Call) whileServing() (ctx context.Context, stop context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(c)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for c.serving() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		cancel(errStopped)
	}()
	return ctx, func() { cancel(nil); <-stopped }
}

// agreeing is how long a verb waits for the branch.
const agreeing = 30 * time.Second

// awaitBranch blocks until the repository's branch agrees with the live release, so that a push
// right after the verb finds the branch in its place. The server's git role moves it, once nobody
// has the turn. If it does not within 30 s, awaitBranch warns, and the verb has succeeded all the
// same.
func (c *Call) awaitBranch(app volume.App) {
	app.Ring()
	ctx, stop := context.WithTimeout(c, agreeing)
	defer stop()
	err := app.Await(ctx, func() (bool, error) {
		if !c.Volume.Claimed(volume.RoleGit) {
			return true, nil // it does so when it starts
		}
		return c.Agree(app)
	})
	if err != nil && c.Err() == nil {
		c.warn("the branch of %s does not point at what is live yet (%v); the server tries again",
			app.Name, err)
	}
}

// takeConfig gives r the config vars that wait for the next release. It then repeats none.
func takeConfig(app volume.App, r *volume.Release) error {
	s, err := app.Settings()
	if err == nil && s.ConfigAfter > 0 {
		r.Settings.Config, r.Of = s.Config, 0
	}
	return err
}
