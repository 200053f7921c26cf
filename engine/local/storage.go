package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"paas/builder/tree"
	"paas/durable"
)

// openStorage makes what processes of the build need to see the app's storage in its tree: the
// files, if this is the first process that does, and the place in the tree. That is a folder for a
// mount, or, where processes have no mounts, a link; what the build has there is then moved to
// at.Replaced, and comes back for a release without the storage. Everything may be half done after
// a kill; calling it again goes on. Only one call for an app may run.
func (l *Local) openStorage(at Layout) error {
	_, err := os.Lstat(at.Replaced)
	if len(at.Storage) == 0 && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	root, err := os.OpenRoot(at.Top)
	if err != nil {
		return err
	}
	defer root.Close()
	t := storageTree{root, at}
	if err := t.restore(l.isolation.Mounts()); err != nil {
		return err
	}
	for _, folder := range slices.Sorted(maps.Keys(at.Storage)) {
		err := l.fill(t, folder)
		if err == nil {
			err = t.place(folder, l.isolation.Mounts())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
	}
	return nil
}

// storageTree is the tree of a build. The app may change it at any time, so nothing here follows a
// link out of it.
type storageTree struct {
	root *os.Root
	Layout
}

// replaced is where the build's own folder is while the tree has a link in its place.
func (t storageTree) replaced(folder string) string {
	return filepath.Join(t.Replaced, url.PathEscape(folder))
}

// restore puts the build's own folders back in the place of links that are not wanted.
func (t storageTree) restore(mounts bool) error {
	entries, err := os.ReadDir(t.Replaced)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		folder, escape := url.PathUnescape(e.Name())
		if _, wanted := t.Storage[folder]; wanted && !mounts || escape != nil {
			continue
		}
		info, lstatErr := t.root.Lstat(folder)
		if lstatErr == nil && info.Mode()&fs.ModeSymlink != 0 {
			lstatErr = errors.Join(t.root.Remove(folder), fs.ErrNotExist)
		}
		if !errors.Is(lstatErr, fs.ErrNotExist) { // the app has put something else there
			continue
		}
		err = errors.Join(err, t.inParent(folder, func(parent int, name string) error {
			return unix.Renameat(unix.AT_FDCWD, t.replaced(folder), parent, name)
		}))
	}
	return err
}

// place makes the folder, or with no mounts the link, where processes see the files.
func (t storageTree) place(folder string, mounts bool) error {
	link, err := filepath.Rel(filepath.Join(t.Top, path.Dir(folder)), t.Storage[folder])
	if err != nil {
		return err
	}
	if is, err := t.root.Readlink(folder); err == nil && is == link && !mounts {
		return nil
	}
	if err := t.mkdirAll(folder); err != nil || mounts {
		return err
	}
	if err := os.MkdirAll(t.Replaced, 0o755); err != nil {
		return err
	}
	return t.inParent(folder, func(parent int, name string) error {
		to := t.replaced(folder)
		if _, err := os.Lstat(to); err == nil { // a kill, or the app, has removed the link
			if err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR); err != nil {
				return fmt.Errorf("the app has put a folder in place of its link: %w", err)
			}
		} else if err := unix.Renameat(parent, name, unix.AT_FDCWD, to); err != nil {
			return err
		}
		return unix.Symlinkat(link, parent, name)
	})
}

// mkdirAll makes a folder of the tree with those above it, for the owner of the tree.
func (t storageTree) mkdirAll(folder string) error {
	top, err := t.root.Stat(".")
	if err != nil {
		return err
	}
	owner, ok := top.Sys().(*syscall.Stat_t)
	for _, dir := range parents(folder) {
		info, err := t.root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = t.root.Mkdir(dir, 0o755)
			if err == nil && ok && os.Geteuid() == 0 {
				err = t.root.Lchown(dir, int(owner.Uid), int(owner.Gid))
			}
		} else if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a folder", dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parents lists the folders above a folder, the top first, and itself.
func parents(folder string) (list []string) {
	for ; folder != "."; folder = path.Dir(folder) {
		list = append(list, folder)
	}
	slices.Reverse(list)
	return list
}

// inParent calls f with the open folder above a folder of the tree, and its name there.
func (t storageTree) inParent(folder string, f func(parent int, name string) error) error {
	parent, err := t.root.OpenFile(path.Dir(folder), os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer parent.Close()
	return f(int(parent.Fd()), path.Base(folder))
}

// fill makes the files of a storage, unless they are there: a copy of what the build has.
func (l *Local) fill(t storageTree, folder string) error {
	files := t.Storage[folder]
	if _, err := os.Lstat(files); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp, err := os.MkdirTemp(l.scratch(), "storage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	copied := filepath.Join(tmp, filepath.Base(files))
	for _, dir := range []string{tmp, copied} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask is
			return err
		}
	}
	from, err := t.root.OpenRoot(folder)
	if replaced, replacedErr := os.OpenRoot(t.replaced(folder)); replacedErr == nil {
		from, err = replaced, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		defer from.Close()
		to, err := os.OpenRoot(copied)
		if err != nil {
			return err
		}
		defer to.Close()
		if err := copyTree(from, to, "."); err != nil {
			return err
		}
	}
	if err := durable.Flush(tmp); err != nil {
		return err
	}
	place := filepath.Dir(files)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	if err := os.Rename(tmp, place); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(place))
}

// copyTree copies what is in a folder. It skips everything but files, folders and symbolic links.
func copyTree(from, to *os.Root, dir string) error {
	entries, err := tree.List(from, dir)
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		info, infoErr := from.Lstat(name)
		if errors.Is(infoErr, fs.ErrNotExist) { // the app has removed it
			continue
		}
		switch {
		case infoErr != nil:
			err = infoErr
		case info.IsDir():
			if err = to.Mkdir(name, info.Mode().Perm()|0o700); err == nil {
				err = copyTree(from, to, name)
			}
		case info.Mode()&fs.ModeSymlink != 0:
			var link string
			if link, err = from.Readlink(name); err == nil {
				err = to.Symlink(link, name)
			}
		case info.Mode().IsRegular():
			err = copyFile(from, to, name, info.Mode().Perm())
		}
		if err != nil {
			return err
		}
	}
	return err
}

func copyFile(from, to *os.Root, name string, mode fs.FileMode) error {
	// the app may put a pipe there, which nobody writes to
	source, err := from.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer source.Close()
	if info, err := source.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	target, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
