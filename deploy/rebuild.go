package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"

	"paas/git"
	"paas/volume"
)

// Rebuild checks out the commit of r again, from the app's own repository or from what was fetched
// of the remote repository that it follows, and returns the build, which is not built yet;
// clearCache asks the runtime to empty the build cache first. out hears of the submodules. r needs
// no build of its own any more. The caller holds the app's turn.
func Rebuild(
	ctx context.Context, app volume.App, r volume.Release, clearCache bool, modules Modules,
	out io.Writer,
) (volume.Build, error) {
	b, err := app.Build(r.Build)
	if err != nil { // its size is lost with it
		b = volume.Build{Commit: r.Commit, Branch: r.Branch, Subject: r.Subject}
		b.InPlace = app.BuildTree(r.Build) == app.Worktree()
	}
	b.ClearCache = clearCache
	m := Maker{App: app, Inspector: new(git.Inspector), Modules: modules, Out: out}
	if b.InPlace { // its files are there, and are built again
		return m.checkout(ctx, b, nil)
	}
	err = withCommit(app, r, func(objects *git.Objects) error {
		commit, err := objects.Commit(r.Commit)
		if err == nil { // it may have come from a backup, which nobody has inspected
			_, err = m.Inspector.Inspect(ctx, objects, commit.Tree)
		}
		if err == nil {
			b, err = m.checkout(ctx, b, objects)
		}
		return err
	})
	return b, err
}

// Again makes the commit of old the app's next release, r, with the app's current settings, as a push
// of it would, and takes it through both phases. It needs all that Inspect and Publish need of m. The
// caller holds the app's turn. A release that failed is not an error: the status tells.
func (m Maker) Again(
	ctx context.Context, old, r volume.Release,
) (volume.Release, volume.Status, error) {
	var s volume.Status
	err := withCommit(m.App, old, func(objects *git.Objects) error {
		b, _, err := m.Inspect(ctx, objects, old.Commit, old.Branch)
		if err == nil {
			r, err = m.Publish(ctx, b, r, objects)
		}
		if err == nil {
			s, err = m.Release(ctx, r, objects)
		}
		return err
	})
	return r, s, err
}

// withCommit calls f with the objects of the repository that has the commit of r: the app's own, or
// what was fetched of the remote repository that it follows.
func withCommit(app volume.App, r volume.Release, f func(*git.Objects) error) error {
	for _, dir := range []string{app.Repo(), app.SourceRepo()} {
		repo := git.Repo{Dir: dir}
		if err := repo.Check(); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		objects := repo.Objects()
		defer objects.Close()
		_, err := objects.Commit(r.Commit)
		if err == nil {
			return f(objects)
		}
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return err
		}
	}
	return fmt.Errorf(
		"the commit %s of %v is not on this server any more; push it again", git.Short(r.Commit), r,
	)
}
