package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"paas/git"
	"paas/say"
	"paas/volume"
)

// publishInPlace publishes r as a release in watch mode, which is ready at once: there is nothing
// to build or boot.
func publishInPlace(app volume.App, r volume.Release) (volume.Release, error) {
	r.Build, r.Settings.Mode = "", volume.InPlace
	r, err := app.Publish(r)
	if err == nil {
		err = app.SetStatus(r.N, volume.Status{State: volume.Ready})
	}
	return r, err
}

// place is the second phase of a release in watch mode: it writes the commit into the app's
// worktree/, touching only files that differ, makes the release live, and shows on Out what it did.
// If it fails, the release has failed, and worktree/ may be partly old and partly new until the
// next release. A ctx that ends is no failure: the release stays committed, and place can be called
// again.
func (m Maker) place(ctx context.Context, r volume.Release, objects *git.Objects) error {
	app := m.App
	changes, err := update(ctx, app, r.Commit, objects)
	if err != nil {
		err = fmt.Errorf("worktree: %w", err)
		if ctx.Err() != nil {
			return err // it stays committed, and the next reconciliation goes on
		}
		hint := "worktree/ may be partly old and partly new; the next push repairs it"
		if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
			hint = "remove what is in the place of " + app.Worktree() + ", then push again"
		}
		// files of another user, such as that of the app's container
		if errors.Is(err, fs.ErrPermission) {
			hint = "the server's user may not change that; remove it, or make that user its owner, then push again"
		}
		return errors.Join(
			fmt.Errorf("%w. %s", err, hint),
			app.SetStatus(
				r.N, volume.Status{State: volume.Failed, Reason: err.Error(), Hint: hint},
			),
		)
	}
	if err := app.SetLive(r.N); err != nil {
		return err
	}
	files := "files"
	if changes.Written == 1 {
		files = "file"
	}
	say.Step(
		m.Out, "%s %s is in worktree/: %d %s written, %d removed", app.Name, r, changes.Written,
		files, changes.Removed,
	)
	for _, path := range changes.Displaced {
		say.Detail(
			m.Out, "%s of the app was in the way of the commit; it is gone", say.Plain(path, 200),
		)
	}
	return RepairStates(app)
}

// RepairStates makes the states of releases agree with what is live in watch mode, after a process
// died between writing one and the other. In release mode the runtime does so.
func RepairStates(app volume.App) error {
	n := app.Live()
	if n == 0 {
		return nil
	}
	r, err := app.Release(n)
	if volume.IsDamage(err) { // a person has to repair it, or roll back
		return nil
	}
	if err != nil || r.Settings.Mode != volume.InPlace {
		return err
	}
	s, err := app.Status(n)
	if err != nil || s.State == volume.Live && !s.At.IsZero() {
		return err
	}
	if err := errors.Join(retire(app, n)...); err != nil {
		return err
	}
	// last: then nothing is left to repair
	return app.SetStatus(n, volume.Status{State: volume.Live})
}

func update(
	ctx context.Context, app volume.App, commit string, objects *git.Objects,
) (git.Changes, error) {
	temp, err := app.Volume().TempDir()
	if err != nil {
		return git.Changes{}, err
	}
	defer os.RemoveAll(temp)
	w := git.Worktree{Dir: app.Worktree(), State: app.WorktreeState(), Temp: temp}
	return w.Update(ctx, objects, commit)
}

// retire records that the releases before n are over. It stops at one that is retired, because
// those before it are over already.
func retire(app volume.App, n int) (errs []error) {
	for m, err := range app.Back(n - 1) {
		var s volume.Status
		if err == nil {
			s, err = app.Status(m)
		}
		switch {
		case err != nil:
			return append(errs, err)
		case s.State == volume.Retired:
			return errs
		case s.State == volume.Live:
			errs = append(
				errs, app.SetStatus(m, volume.Status{State: volume.Retired, Proved: s.Proved}),
			)
		case !s.State.Over():
			errs = append(
				errs,
				app.SetStatus(
					m,
					volume.Status{
						State:  volume.Cancelled,
						Reason: "overtaken by " + volume.Release{N: n}.String(),
					},
				),
			)
		}
	}
	return errs
}
