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
// clearCache asks the runtime to empty the build cache first. out hears of the submodules. r needs no build of its own any more.
// The caller holds the app's turn. It runs no git.
func Rebuild(
	ctx context.Context, app volume.App, r volume.Release, clearCache bool, modules Modules,
	out io.Writer,
) (volume.Build, error) {
	b, err := app.Build(r.Build)
	if err != nil { // its size is lost with it
		b = volume.Build{Commit: r.Commit, Branch: r.Branch, Subject: r.Subject}
	}
	b.ClearCache = clearCache
	for _, dir := range []string{app.Repo(), app.SourceRepo()} {
		repo := git.Repo{Dir: dir}
		if err := repo.Check(); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return b, err
		}
		built, err := checkoutOf(ctx, app, b, repo, modules, out)
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return built, err
		}
	}
	return b, fmt.Errorf(
		"the commit %s of %v is not on this server any more; push it again", git.Short(r.Commit), r,
	)
}

func checkoutOf(
	ctx context.Context, app volume.App, b volume.Build, repo git.Repo, modules Modules,
	out io.Writer,
) (volume.Build, error) {
	objects := repo.Objects()
	defer objects.Close()
	if _, err := objects.Commit(b.Commit); err != nil {
		return b, err
	}
	return Checkout(
		app, b, func(tree string) error {
			if err := objects.WriteTree(ctx, b.Commit, tree); err != nil {
				return err
			}
			return modules.Write(ctx, app, objects, b.Commit, tree, new(git.Inspector), out)
		},
	)
}
