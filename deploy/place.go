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

// publishFiles publishes r as a release in mode worktree, which is ready at once: there is nothing to
// build or boot.
func publishFiles(app volume.App, r volume.Release) (volume.Release, error) {
	r.Build, r.Settings.Mode = "", volume.OnlyFiles
	r, err := app.Publish(r)
	if err == nil {
		err = app.SetStatus(r.N, volume.Status{State: volume.Ready})
	}
	return r, err
}

// place is the second phase of a release in mode worktree: it writes the commit into the app's
// worktree/, touching only files that differ, makes the release live, and shows on Out what it did.
// If it fails, the release has failed, and worktree/ may be partly old and partly new until the
// next release. A ctx that ends is no failure: the release stays committed, and place can be called
// again.
func (m Maker) place(ctx context.Context, r volume.Release, objects *git.Objects) error {
	app := m.App
	changes, err := update(ctx, app, r.Commit, objects)
	if err != nil && ctx.Err() != nil {
		return err // it stays committed, and the next reconciliation goes on
	}
	if err != nil {
		hint := hintAbout(err, app)
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
	m.sayChanges(changes)
	return RepairStates(app)
}

// change is the checkout of watch mode: it changes worktree/ to the commit, touching only files that
// differ, and publishes the build whose files these are. What earlier builds and the app have
// written there stays. If it fails, worktree/ may be [Spoilt].
func (m Maker) change(
	ctx context.Context, b volume.Build, objects *git.Objects,
) (volume.Build, error) {
	changes, err := update(ctx, m.App, b.Commit, objects)
	if err != nil {
		return b, fmt.Errorf("%w. %s", err, hintAbout(err, m.App))
	}
	m.sayChanges(changes)
	b.InPlace = true
	return m.checkout(ctx, b, objects)
}

// hintAbout is what a person can do about err, for which worktree/ was not changed.
func hintAbout(err error, app volume.App) string {
	switch {
	case errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP):
		return "remove what is in the place of " + app.Worktree() + ", then push again"
	case errors.Is(err, fs.ErrPermission): // files of another user, such as that of the app's container
		return "the server's user may not change that; remove it, or make that user its owner, then push again"
	}
	return "worktree/ may be partly old and partly new; the next push repairs it"
}

// sayChanges shows on Out what was changed in worktree/.
func (m Maker) sayChanges(changes git.Changes) {
	files := "files"
	if changes.Written == 1 {
		files = "file"
	}
	say.Step(m.Out, "%s: %d %s written in worktree/, %d removed",
		m.App.Name, changes.Written, files, changes.Removed)
	for _, path := range changes.Displaced {
		say.Detail(
			m.Out, "%s of the app was in the way of the commit; it is gone", say.Plain(path, 200),
		)
	}
}

// RepairStates makes the states of releases agree with what is live in mode worktree, after a
// process died between writing one and the other. In the other modes the runtime does so.
func RepairStates(app volume.App) error {
	n := app.Live()
	if n == 0 {
		return nil
	}
	r, err := app.Release(n)
	if volume.IsDamage(err) { // a person has to repair it, or roll back
		return nil
	}
	if err != nil || !r.OnlyFiles() {
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

// update changes worktree/ to a commit.
func update(
	ctx context.Context, app volume.App, commit string, objects *git.Objects,
) (git.Changes, error) {
	temp, err := app.Volume().TempDir()
	if err != nil {
		return git.Changes{}, err
	}
	defer os.RemoveAll(temp)
	w := worktree(app)
	w.Temp = temp
	changes, err := w.Update(ctx, objects, commit)
	if err != nil {
		err = fmt.Errorf("worktree: %w", err)
	}
	return changes, err
}

func worktree(app volume.App) git.Worktree {
	return git.Worktree{Dir: app.Worktree(), State: app.WorktreeState()}
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
				app.SetStatus(m, volume.Status{
					State:  volume.Cancelled,
					Reason: "overtaken by " + volume.Release{N: n}.String(),
				}),
			)
		}
	}
	return errs
}
