package deploy

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"paas/git"
	"paas/volume"
)

// checkout makes the build that b describes: the files of its commit, which objects has, and those
// of its submodules, unless b is InPlace. It publishes it among the app's builds, which is one
// rename. The caller holds the app's turn. It needs App, Inspector, Modules and Out of m.
func (m Maker) checkout(
	ctx context.Context, b volume.Build, objects *git.Objects,
) (volume.Build, error) {
	dir, err := m.files(ctx, b, objects)
	if err != nil {
		return b, err
	}
	defer m.App.Volume().RemoveTemp(dir) // unless it is published
	m.reached("taken")
	if !b.InPlace {
		tree := filepath.Join(dir, "tree")
		err = m.Modules.Write(ctx, m.App, objects, b.Commit, tree, m.Inspector, m.Out)
	}
	if err != nil {
		return b, err
	}
	m.reached("written")
	return m.App.PublishBuild(b, dir)
}

// files returns a temporary folder with the commit's own files in tree/.
func (m Maker) files(
	ctx context.Context, b volume.Build, objects *git.Objects,
) (dir string, err error) {
	if b.InPlace {
		return m.App.Volume().TempDir()
	}
	if dir, err = m.Spares.take(ctx, m.App, b.Commit, objects); err == nil {
		return dir, nil
	}
	return written(ctx, m.App, b.Commit, objects, nil)
}

// written returns a temporary folder with a new checkout of commit, tree/, for the owner of a file;
// nil: for this process's user.
func written(
	ctx context.Context, app volume.App, commit string, objects *git.Objects, of fs.FileInfo,
) (dir string, err error) {
	if dir, err = app.Volume().TempDir(); err != nil {
		return "", err
	}
	tree := filepath.Join(dir, "tree")
	err = os.Mkdir(tree, 0o755)
	if of != nil && err == nil && os.Geteuid() == 0 {
		own := of.Sys().(*syscall.Stat_t)
		err = os.Lchown(tree, int(own.Uid), int(own.Gid))
	}
	if err == nil {
		err = objects.WriteTree(ctx, commit, tree)
	}
	if err != nil {
		return "", errors.Join(err, app.Volume().RemoveTemp(dir))
	}
	return dir, nil
}

func (m Maker) reached(where string) {
	if m.breakpoint != nil {
		m.breakpoint(where)
	}
}
