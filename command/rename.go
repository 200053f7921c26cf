package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"paas/access"
	"paas/formation"
	"paas/volume"
)

func renameRow() Row {
	return Stream[renameInput, Progress]{
		Head: Head{
			Name: "apps:rename", Group: Apps, Needs: access.Manage,
			Example: "blog journal",
			Short:   "give an app another name; its old address works until another app has that name",
		},
		Run:  renameApp,
		Text: printProgress,
	}
}

type renameInput struct {
	App        string `json:"app" arg:"APP"`
	To         string `json:"to" arg:"NEW-NAME"`
	SkipDeploy bool   `json:"skip_deploy" flag:"skip-deploy" help:"as with Dokku: a rename builds nothing, with this flag or without"`
}

func renameApp(c *Call, in renameInput, events Teller[Progress]) error {
	p := progress{events}
	if err := volume.CheckName(in.To); err != nil {
		return wrong("to", "%w", err)
	}
	app, done, err := c.turn(in.App)
	if err != nil {
		return err
	}
	defer done()
	if err := c.mayRename(app); err != nil {
		return err
	}
	if err := c.taken(in.To, c.Rights.MayTake(c.Caller.Identity, in.To)); err != nil {
		return err
	}
	now, err := c.Volume.Rename(app, in.To)
	if err != nil {
		return c.taken(in.To, err)
	}
	c.did(app.Name, "is called "+now.Name+" now")
	done()
	p.step("%s is called %s now: %s", app.Name, now.Name, c.URL(now.Name))
	p.detail("in a clone: git remote set-url paas %s", c.gitURL(now.Name))
	if now.Live() == 0 || !c.serving() || serverRuns(now) != nil {
		return nil
	}
	return c.awaitFormation(now, everyProcess, p)
}

// mayRename fails if something of the app would be lost.
func (c *Call) mayRename(app volume.App) error {
	source, follows, err := app.Source()
	if err != nil {
		return err
	}
	if follows && source.ByEnvironment {
		return conflict("", "the server's own settings say that %s follows %s; give it its name there",
			app.Name, plain(source.URL))
	}
	if err := c.awaitRuns(app); err != nil {
		return err
	}
	state, err := c.cron(app)
	if err != nil {
		return err
	}
	for _, e := range state.Entries {
		if e.Last != nil && e.Last.Result == "" && c.serving() {
			return conflict("wait for its end", "%s of %s runs, and a rename would stop it",
				fmt.Sprintf("cron entry %d", e.ID), app.Name)
		}
	}
	return nil
}

// unlisted is how long a command of run that has ended may still be listed: the server writes the
// list after it has told the caller.
const unlisted = time.Second

// awaitRuns fails if a command of run goes on.
func (c *Call) awaitRuns(app volume.App) error {
	ctx, stop := context.WithTimeout(c, unlisted)
	defer stop()
	var running error
	err := app.Await(ctx, func() (bool, error) {
		processes, err := c.processes(app)
		running = nil
		isOnce := func(p volume.Process) bool { return p.Type == formation.Run }
		if i := slices.IndexFunc(processes, isOnce); i >= 0 {
			running = conflict("wait for its end", "%s of %s runs, and a rename would stop it",
				processes[i].Name(), app.Name)
		}
		return running == nil, err
	})
	return cmp.Or(running, err)
}
