package runtime

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"paas/builder/cmdline"
	"paas/formation"
	"paas/say"
	"paas/volume"
)

// phaseLimit is how long a command of a deploy may take. Migrating much data takes a while.
const phaseLimit = time.Hour

// releasePhase runs the commands that run once for each release, before its processes start:
// app.json's predeploy, then the release line of the Procfile
// (https://devcenter.heroku.com/articles/release-phase). A restart runs neither.
func (d *deploy) releasePhase(ctx context.Context, i *instance, file io.Writer) error {
	if i.release.Cause == volume.CauseRestart {
		return nil
	}
	if err := d.phase(ctx, i, file, "predeploy", i.file.Predeploy); err != nil {
		return err
	}
	return d.phase(ctx, i, file, formation.Release, i.built.Processes[formation.Release])
}

// postdeploy runs the commands that run when the new processes are healthy, before they get
// traffic.
func (d *deploy) postdeploy(ctx context.Context, i *instance, file io.Writer) error {
	if i.release.Cause == volume.CauseRestart {
		return nil
	}
	if err := d.phase(ctx, i, file, "postdeploy", i.file.Postdeploy); err != nil {
		return err
	}
	if d.loop.app.Live() > 0 {
		return nil
	}
	return d.phase(ctx, i, file, "postdeploy", i.file.FirstTime)
}

// phase runs one command to its end and shows what it prints.
func (d *deploy) phase(ctx context.Context, i *instance, file io.Writer, name, line string) error {
	if line == "" {
		return nil
	}
	say.Step(file, "Running %s: %s", name, line)
	late := fmt.Errorf("no end after %s; stopped", phaseLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, phaseLimit, late)
	defer cancel()
	bounded := say.NewBounded(file, 1<<20, 16<<10)
	shown := say.NewIndent(bounded)
	job := i.job(name, 1, cmdline.Arguments(line), d.settings)
	job.Out = shown
	err := d.loop.rt.runToEnd(ctx, job, cmp.Or(d.settings.Grace, d.loop.rt.grace()))
	shown.Close()
	bounded.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	d.phases = true
	return nil
}
