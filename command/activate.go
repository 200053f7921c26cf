package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"paas/access"
	"paas/deploy"
	"paas/git"
	"paas/volume"
)

// activate lets an app run that came back from a backup: it gets its names, its commit goes live through
// both phases, and it follows its source again. A call that was cut off can be repeated.
func (c *Call) activate(name string, p progress) error {
	app, done, err := c.turn(name)
	if err != nil {
		return err
	}
	defer done()
	back, waits, err := app.Restored()
	if err != nil {
		return err
	}
	if !waits {
		return conflict("", "%s did not come back from a backup, or is active already", app.Name)
	}
	wanted, err := c.takeNames(app, back, p)
	if err == nil {
		err = app.TakeRestored()
	}
	if err == nil && back.Live > 0 && app.Live() == 0 { // else somebody has pushed
		err = c.redeploy(app, back, wanted, p)
	}
	if err == nil && back.Source != nil {
		err = app.SetSource(*back.Source)
	}
	if err == nil {
		err = app.EndRestored()
	}
	if err != nil {
		return err
	}
	done()
	if back.Live == 0 {
		c.did(app.Name, "active")
		p.step("%s is active; nothing was live when the backup was made", app.Name)
		return nil
	}
	c.awaitBranch(app)
	return nil
}

// redeploy makes the commit live that was live when the backup was made, as it was then.
func (c *Call) redeploy(app volume.App, back volume.Restored, wanted volume.Wanted, p progress) error {
	old, err := app.Release(back.Live)
	if err != nil {
		return err
	}
	if old.Settings.ModeOr(c.Mode) != volume.OnlyFiles && !c.serving() {
		return errNotServing
	}
	if err := app.SetSettings(old.Settings); err != nil {
		return err
	}
	ctx := context.Context(c)
	if c.serving() { // mode worktree needs nobody
		var stop context.CancelFunc
		ctx, stop = c.whileServing()
		defer stop()
	}
	maker := deploy.Maker{
		App: app, Mode: c.Mode, URL: c.URL, Out: progressLog{p}, Inspector: c.Inspector,
		Modules: c.Modules, DiskSpace: c.DiskSpace,
	}
	if maker.Inspector == nil {
		maker.Inspector = new(git.Inspector)
	}
	note := fmt.Sprintf("%v from a backup of %s", old, when(back.Backup))
	r, s, err := maker.Again(ctx, old, volume.Release{By: c.Caller.Name, Cause: volume.CauseRestore, Note: note})
	if context.Cause(ctx) == errStopped {
		return errStopped
	}
	if err == nil {
		err = c.ended(maker, r, s, note, p)
	}
	if err != nil {
		return err
	}
	next := back.Settings
	if next.ConfigAfter > 0 { // config vars wait for the next release
		next.ConfigAfter = r.N
	}
	if err := app.SetSettings(next); err != nil || !back.Stopped {
		return err
	}
	wanted.Stopped = r.N
	return app.SetWanted(wanted)
}

// takeNames gives the app the domains that it had, as far as they are free.
func (c *Call) takeNames(app volume.App, back volume.Restored, p progress) (volume.Wanted, error) {
	w, err := app.Wanted()
	if err != nil {
		return w, err
	}
	for _, name := range back.Names.Domains {
		switch {
		case slices.Contains(w.Names.Domains, name):
			continue
		case volume.CheckDomain(name) != nil || c.isServers(name):
			p.note("%s cannot have the domain %s here", app.Name, plain(name))
			continue
		}
		err := app.ClaimDomain(name, func(owner string) bool {
			_, err := c.Rights.Admit(c.Caller.Identity, access.Operate, owner)
			return err == nil
		})
		var taken *volume.DomainTaken
		if errors.As(err, &taken) {
			p.note("%v", c.domainTaken(err))
			continue
		}
		if err != nil {
			return w, err
		}
		w.Names.Domains = slices.Sorted(slices.Values(append(slices.Clone(w.Names.Domains), name)))
	}
	own := append(slices.Clone(w.Names.Domains), c.defaultHost(app))
	for from, to := range back.Names.Redirects {
		if slices.Contains(own, from) && slices.Contains(own, to) {
			w.Names.Redirects = with(w.Names.Redirects, from, to)
		}
	}
	w.Names.NoRedirect, w.Names.HSTS = back.Names.NoRedirect, back.Names.HSTS
	return w, app.SetWanted(w)
}
