package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"paas/command"
	"paas/deploy"
	"paas/git"
	"paas/receiver"
	"paas/say"
	"paas/volume"

	"github.com/spf13/cobra"
)

var runVerbs = []verb{
	{use: "releases APP [-n N | --all]", short: "the last 20 releases of an app, or as many as asked", args: args(1, 1), run: showReleases, flags: func(cmd *cobra.Command) {
		withFormat(cmd)
		cmd.Flags().IntP("number", "n", 20, "how many releases to show, the newest first")
		cmd.Flags().Bool("all", false, "show all releases")
	}},
	{use: "rollback APP [vN]", short: "make an earlier release live again, config vars included", args: args(1, 2), run: rollback},
}

func rollback(c *call) error {
	return c.again(volume.CauseRollback, func(app volume.App) (volume.Release, string, error) {
		n, err := rollbackTo(app, c.args[1:])
		if err != nil {
			return volume.Release{}, "", err
		}
		r, err := app.Release(n)
		if err == nil {
			if r.Settings.Mode == volume.InPlace {
				err = fmt.Errorf("v%d was in watch mode: it has no build to go back to", n)
			} else if !app.BuildKept(r.Build) {
				err = buildGone(app, n)
			}
		}
		return r, fmt.Sprintf("rollback to v%d", n), err
	})
}

// rollbackTo is the release to go back to: the one asked for, or the last one before the live one
// that differs from it in code or config vars.
func rollbackTo(app volume.App, args []string) (int, error) {
	live := app.Live()
	if len(args) == 1 {
		n, err := strconv.Atoi(strings.TrimPrefix(args[0], "v"))
		if err != nil || n < 1 {
			return 0, usageError(fmt.Errorf("%q is not a release; they are called v1, v2 and so on", plain(args[0])))
		}
		if _, err := app.Release(n); err != nil {
			return 0, fmt.Errorf("%w; releases %s lists those it has", err, app.Name)
		}
		if n == live {
			return 0, fmt.Errorf("v%d is live already", n)
		}
		if s, err := app.Status(n); err != nil || s.State != volume.Retired {
			return 0, errors.Join(err, fmt.Errorf("v%d was never live: it is %s", n, s.State))
		}
		return n, nil
	}
	now, err := app.Release(live)
	if err != nil && !volume.IsDamage(err) { // of a damaged one every other differs
		return 0, err
	}
	gone := 0 // the youngest that would do, had it its build
	for n, err := range app.Back(live - 1) {
		if err != nil {
			return 0, err
		}
		if s, err := app.Status(n); err != nil || s.State != volume.Retired {
			continue
		}
		r, err := app.Release(n)
		if err != nil || r.Settings.Mode == volume.InPlace || r.Build == now.Build && maps.Equal(r.Settings.Config, now.Settings.Config) {
			continue
		}
		if app.BuildKept(r.Build) {
			return n, nil
		}
		gone = max(gone, n)
	}
	if gone > 0 {
		return 0, buildGone(app, gone)
	}
	return 0, fmt.Errorf("%s has no earlier release to go back to", app.Name)
}

// buildGone says what can be gone back to in place of v<n>.
func buildGone(app volume.App, n int) error {
	const shown = 10
	var left []string
	for m, err := range app.Back(app.Live()) {
		if err != nil || len(left) > shown {
			break
		}
		s, err := app.Status(m)
		if err != nil || s.State != volume.Retired {
			continue
		}
		if r, err := app.Release(m); err == nil && app.BuildKept(r.Build) {
			left = append(left, "v"+strconv.Itoa(m))
		}
	}
	to := "none is left to go back to"
	switch {
	case len(left) > shown:
		to = "to go back to there are " + strings.Join(left[:shown], ", ") + " and older ones"
	case len(left) > 0:
		to = "to go back to there are " + strings.Join(left, ", ")
	}
	return fmt.Errorf("the build of v%d is gone, for only the last builds are kept (PAAS_KEEP_BUILDS); %s. Or push its commit again", n, to)
}

// again makes a new release of an old one.
func (c *call) again(cause string, old func(volume.App) (volume.Release, string, error)) error {
	app, done, err := c.turn()
	if err != nil {
		return err
	}
	defer done()
	if app.Live() == 0 {
		return fmt.Errorf("nothing of %s is live yet; git push deploys it", app.Name)
	}
	if err := notInPlace(app); err != nil && !(cause == volume.CauseRollback && volume.IsDamage(err)) {
		return err
	}
	base, note, err := old(app)
	if err != nil {
		return err
	}
	base.Of = 0
	if cause == volume.CauseRollback || cause == volume.CauseRestart {
		base.Of = base.N
	}
	if err := c.release(app, base, cause, note); err != nil {
		return err
	}
	done()
	c.awaitBranch(app)
	return nil
}

// agreeing is how long a command waits for the branch.
const agreeing = 30 * time.Second

// awaitBranch blocks until the branch of the repository agrees with what is live, so that a push right
// after the command finds it where it will be. The server's git role moves it, once nobody has the turn.
func (c *call) awaitBranch(app volume.App) {
	app.Ring()
	ctx, stop := context.WithTimeout(c, agreeing)
	defer stop()
	err := app.Await(ctx, func() (bool, error) {
		if !c.vol.Claimed(volume.RoleGit) {
			return true, nil // it does so when it starts
		}
		return receiver.Agree(app)
	})
	if err != nil && c.Err() == nil {
		say.Fault(c.err, "the branch of %s does not point at what is live yet (%v); the server tries again", app.Name, err)
	}
}

// notInPlace says what to do about a live release that is in watch mode, of which nothing here can make
// another.
func notInPlace(app volume.App) error {
	live, err := app.Release(app.Live())
	if err == nil && live.Settings.Mode == volume.InPlace {
		err = fmt.Errorf("%v of %s is in watch mode: what runs it is not started from here, and has its own environment; settings:set %s mode=release, then push",
			live, app.Name, app.Name)
	}
	return err
}

// turn takes the turn to deploy the app that the first argument names.
func (c *call) turn() (app volume.App, done func(), err error) {
	if app, err = c.app(); err != nil {
		return app, nil, err
	}
	done, err = deploy.Turn(c, app, c.name+"'s "+c.cmd.Name(), c.waiting)
	return app, done, err
}

// errStopped ends the wait for a server that does not run any more.
var errStopped = errors.New("the server has stopped; paas releases shows what became of it")

// whileServing is the call's context, which ends too when nothing runs the apps any more.
func (c *call) whileServing() (ctx context.Context, stop context.CancelFunc) {
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

var errNotServing = errors.New("the server is not running, and only it can make a release live; start it: paas serve")

// release makes base the app's next release and waits until it is live. A caller who leaves before
// its verdict has changed nothing. The caller holds the turn.
func (c *call) release(app volume.App, base volume.Release, cause, note string) error {
	if !c.serving() {
		return errNotServing
	}
	base.By, base.Cause, base.Note = c.name, cause, note
	ctx, stop := c.whileServing()
	defer stop()
	r, err := app.Publish(base)
	if err != nil {
		return err
	}
	maker := deploy.Maker{App: app, URL: c.url, Out: c.out}
	s, err := maker.Release(ctx, r, nil)
	if context.Cause(ctx) == errStopped {
		return errStopped
	}
	if err != nil {
		return err
	}
	c.record(c.cmd.Name(), app.Name, strings.TrimSpace(fmt.Sprintf("%v %s: %s", r, note, s.State)))
	if s.State == volume.Live || s.State == volume.Retired {
		say.Step(c.out, "%s", maker.LiveLine(r.N))
		return nil
	}
	say.Fault(c.err, "%s %v: %s", app.Name, r, s.Reason)
	if s.Hint != "" {
		say.Fault(c.err, "%s", s.Hint)
	}
	say.Fault(c.err, "nothing changed: v%d keeps serving", app.Live())
	return command.Exit(1)
}

func showReleases(c *call) error {
	app, err := c.app()
	if err != nil {
		return err
	}
	limit, _ := c.cmd.Flags().GetInt("number")
	if all, _ := c.cmd.Flags().GetBool("all"); all {
		limit = math.MaxInt
	}
	if limit < 1 {
		return usageError(fmt.Errorf("-n is a number of releases from 1, not %d", limit))
	}
	type row struct {
		volume.Release
		Settings  *struct{}     `json:"settings,omitempty"` // hides the config vars' values
		Wanted    *struct{}     `json:"wanted,omitempty"`   // hides what is no part of the release
		Status    volume.Status `json:"status"`
		BuildKept bool          `json:"build_kept"`        // it can be rolled back to, where it was ever live
		Problem   string        `json:"problem,omitempty"` // one line: which file is damaged, and what to do about it
	}
	var rows []row
	more := false
	for n, err := range app.History() {
		if err != nil {
			return err
		}
		if more = len(rows) == limit; more {
			break
		}
		r, err := app.Release(n)
		problem := ""
		if volume.IsDamage(err) {
			r, problem, err = volume.Release{N: n}, err.Error(), nil
		}
		if err != nil {
			return err
		}
		s, err := app.Status(n)
		if err != nil {
			return err
		}
		if why, cancelled := app.Cancelled(n); cancelled && !s.State.Over() { // no runtime is there to say so
			s.State, s.Reason = volume.Cancelled, why
		}
		if n == app.Live() && c.serving() {
			crashed, err := app.CrashedOf(n)
			if err != nil && !volume.IsDamage(err) { // ps reports that
				return err
			}
			for _, p := range crashed {
				s.Reason = fmt.Sprintf("%s has crashed: %s", p.Name(), p.Reason)
			}
		}
		rows = append(rows, row{Release: r, Status: s, BuildKept: app.BuildKept(r.Build), Problem: problem})
	}
	err = list(c, rows, app.Name+" has no releases yet; git push deploys it", "RELEASE\tSTATE\tBUILD\tWHEN\tBY\tCAUSE\tCOMMIT\tWHAT", func(r row) string {
		what := r.Subject
		if r.Note != "" {
			what = r.Note
		}
		if r.Status.Reason != "" {
			what += " (" + r.Status.Reason + ")"
		}
		if r.Problem != "" {
			what = r.Problem
		}
		build := "-"
		if r.BuildKept {
			build = "kept"
		}
		return fmt.Sprintf("%v\t%s\t%s\t%s\t%s\t%s\t%s\t%s", r.Release, r.Status.State, build, when(r.At),
			orNone(r.By), orNone(r.Cause), orNone(git.Short(r.Commit)), plain(what))
	})
	if more && err == nil && c.text() {
		fmt.Fprintf(c.out, "\nolder ones: releases %s --all, or -n N for the last N\n", app.Name)
	}
	return err
}
