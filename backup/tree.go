package backup

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// maxDepth is how many folders may be inside of each other.
const maxDepth = 200

// tree writes the folder at, and all in it, below name. Its files may change meanwhile, and their
// owner may be an enemy: no link leads out of it, and nothing but files, folders and links is opened.
func (w *writer) tree(ctx context.Context, name string, at *os.Root, depth int) error {
	info, err := at.Stat(".")
	if err != nil {
		return err
	}
	err = w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(),
		Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	folder, err := at.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	for {
		entries, err := folder.ReadDir(1024) // a folder may have a million
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := w.entry(ctx, path.Join(name, e.Name()), at, e, depth); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			w.note("%s: not all of it was read: %v", name, err)
			return nil
		}
	}
}

// entry writes what a folder has under a name. What cannot be read is noted.
func (w *writer) entry(ctx context.Context, name string, in *os.Root, e fs.DirEntry, depth int) error {
	err := w.readEntry(ctx, name, in, e, depth)
	var unread *unreadError
	if errors.As(err, &unread) {
		if !errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			w.note("%s is not in the backup: %v", name, unread.err)
		}
		return nil
	}
	return err
}

// unreadError is an error of the app's files, not of the archive.
type unreadError struct{ err error }

func (u *unreadError) Error() string { return u.err.Error() }
func (u *unreadError) Unwrap() error { return u.err }

func unread(err error) error { return &unreadError{err} }

func (w *writer) readEntry(
	ctx context.Context, name string, in *os.Root, e fs.DirEntry, depth int,
) error {
	switch e.Type() {
	case fs.ModeDir:
		if depth >= maxDepth {
			return unread(errors.New("it is too deep"))
		}
		sub, err := in.OpenRoot(e.Name())
		if err != nil {
			return unread(err)
		}
		defer sub.Close()
		if f, err := sub.Open("."); err != nil {
			return unread(err)
		} else {
			f.Close()
		}
		return w.tree(ctx, name, sub, depth+1)
	case fs.ModeSymlink:
		target, err := in.Readlink(e.Name())
		if err != nil {
			return unread(err)
		}
		return w.tar.WriteHeader(&tar.Header{
			Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, Format: tar.FormatPAX,
		})
	case 0:
		// a pipe that has taken the file's place would block
		f, err := in.OpenFile(e.Name(), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return unread(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return unread(errors.Join(err, errors.New("it is no file any more")))
		}
		changed, err := w.file(name, info, f)
		if err != nil {
			return err
		}
		if after, err := f.Stat(); changed || err == nil && !after.ModTime().Equal(info.ModTime()) {
			w.note("%s was changed while it was read", name)
		}
		return nil
	}
	return unread(errors.New("it is no file, folder or link"))
}
