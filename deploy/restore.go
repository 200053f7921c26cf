package deploy

import (
	"context"
	"fmt"
	"io"

	"paas/git"
	"paas/say"
	"paas/volume"
)

// Spoilt reports whether worktree/ has been changed and built for a release that did not go live, so
// that the live one, which is in watch mode, might not start there again. It is false if nothing can
// be done about that: no runtime runs, or what is live does not build any more.
func Spoilt(app volume.App) bool {
	live, err := app.Release(app.Live())
	last, lastErr := app.Last()
	if err != nil || lastErr != nil || app.BuildTree(live.Build) != app.Worktree() ||
		!app.Volume().Claimed(volume.RoleApp) {
		return false
	}
	for n, err := range app.Back(last) {
		if n <= live.N || err != nil {
			break
		}
		r, err := app.Release(n)
		if err == nil && r.Build != live.Build && app.BuildTree(r.Build) == app.Worktree() {
			s, err := app.Status(n)
			return err == nil && !(r.Of == live.N && s.State == volume.Failed)
		}
	}
	is, settled, err := worktree(app).Commit()
	return err == nil && !(settled && is == live.Commit)
}

// Restore changes worktree/ back to what is live and makes a release that builds that again, if
// worktree/ is [Spoilt]. It blocks until that is live. The caller holds the app's turn.
func (m Maker) Restore(ctx context.Context) error {
	if !Spoilt(m.App) {
		return nil
	}
	live, err := m.App.Release(m.App.Live())
	if err != nil {
		return err
	}
	say.Step(m.Out, "Changing worktree/ back to %v, and building it again", live)
	m.Out = io.Discard
	err = withCommit(m.App, live, func(objects *git.Objects) error {
		_, err := update(ctx, m.App, live.Commit, objects)
		return err
	})
	if err != nil {
		return err
	}
	b, err := Rebuild(ctx, m.App, live, false, m.Modules, m.Out)
	if err != nil {
		return err
	}
	r := live
	r.Build, r.Of = b.ID, live.N
	r.By, r.Cause, r.Note = "server", volume.CauseRebuild, "worktree/ was changed back"
	if r, err = m.App.Publish(r); err != nil {
		return err
	}
	s, err := m.Release(ctx, r, nil)
	if err == nil && s.State != volume.Live {
		err = fmt.Errorf("%v does not run any more: %s", live, s.Reason)
	}
	return err
}

// restore is [Maker.Restore], and shows on Out if that fails.
func (m Maker) restore(ctx context.Context) {
	if err := m.Restore(context.WithoutCancel(ctx)); err != nil {
		say.Fault(m.Out, "worktree/ is not changed back: %s", say.Plain(err.Error(), 300))
	}
}
