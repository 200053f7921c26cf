package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"paas/reflink"
	"paas/volume"
)

// snapshot returns a folder with data/ and storage/ of the app: a copy that shares its blocks with
// them, where the file system can do so; otherwise the app's own folder. Call done at the end.
func (m Maker) snapshot(
	ctx context.Context, w *writer, app volume.App, home *os.Root,
) (files *os.Root, done func(), how Reading, err error) {
	dir, err := m.Volume.TempDir()
	if err != nil {
		return nil, nil, "", err
	}
	remove := func() { m.Volume.RemoveTemp(dir) }
	files, err = os.OpenRoot(dir)
	if err != nil {
		remove()
		return nil, nil, "", err
	}
	done = func() { files.Close(); remove() }
	err = probe(dir)
	for _, folder := range []string{"data", "storage"} {
		if err == nil {
			err = clone(ctx, w, filepath.Join("apps", app.Name, folder), home, files, folder, 0)
		}
	}
	switch {
	case err == nil:
		return files, done, Snapshot, nil
	case errors.Is(err, errors.ErrUnsupported):
		done()
		return home, func() {}, AsRead, nil
	}
	done()
	return nil, nil, "", err
}

// probe returns an error that matches [errors.ErrUnsupported] if the file system of dir cannot share
// blocks: then no files are looked at twice.
func probe(dir string) error {
	from, to := filepath.Join(dir, ".from"), filepath.Join(dir, ".to")
	if err := os.WriteFile(from, []byte("paas"), 0o600); err != nil {
		return err
	}
	defer os.Remove(from)
	defer os.Remove(to)
	a, err := os.Open(from)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Create(to)
	if err != nil {
		return err
	}
	defer b.Close()
	return reflink.File(a, b)
}

// clone copies the folder called name of one root to the other. What is no file, folder or link, or
// cannot be read, is left out; the later look at the copy does not see it, so it is noted here.
func clone(
	ctx context.Context, w *writer, shown string, from, to *os.Root, name string, depth int,
) error {
	info, err := from.Lstat(name)
	if err == nil && depth > maxDepth {
		err = errors.New("it is too deep")
	}
	if err == nil {
		err = ctx.Err()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
	case info.IsDir():
		return cloneFolder(ctx, w, shown, from, to, name, info, depth)
	case info.Mode().Type() == fs.ModeSymlink:
		var target string
		if target, err = from.Readlink(name); err == nil {
			return to.Symlink(target, name)
		}
	case info.Mode().IsRegular():
		var hard bool
		if hard, err = cloneFile(from, to, name); hard {
			return err
		}
	default:
		err = errors.New("it is no file, folder or link")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.note("%s is not in the backup: %v", shown, err)
	}
	return nil
}

func cloneFolder(
	ctx context.Context, w *writer, shown string, from, to *os.Root, name string, info fs.FileInfo,
	depth int,
) error {
	if err := to.Mkdir(name, 0o700); err != nil {
		return err
	}
	if err := to.Chmod(name, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	out, err := from.OpenRoot(name)
	if err != nil {
		w.note("%s is not in the backup: %v", shown, err)
		return nil
	}
	defer out.Close()
	in, err := to.OpenRoot(name)
	if err != nil {
		return err
	}
	defer in.Close()
	folder, err := out.Open(".")
	if err != nil {
		w.note("%s is not in the backup: %v", shown, err)
		return nil
	}
	defer folder.Close()
	for {
		names, err := folder.Readdirnames(1024)
		for _, n := range names {
			if err := clone(ctx, w, filepath.Join(shown, n), out, in, n, depth+1); err != nil {
				return err
			}
		}
		if err != nil {
			break
		}
	}
	return to.Chtimes(name, info.ModTime(), info.ModTime())
}

// cloneFile copies one file; hard means that the whole copy cannot go on.
func cloneFile(from, to *os.Root, name string) (hard bool, err error) {
	a, err := from.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer a.Close()
	info, err := a.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file any more")
	}
	if err != nil {
		return false, err
	}
	b, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return true, err
	}
	defer b.Close()
	if err := reflink.File(a, b); err != nil {
		return true, err
	}
	return true, errors.Join(b.Chmod(info.Mode().Perm()), to.Chtimes(name, info.ModTime(), info.ModTime()))
}
