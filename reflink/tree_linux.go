package reflink

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Tree copies the folder from, and all files, folders and symbolic links in it, as the new folder
// to: with their modes, and with their owners if this process is root. Nobody may write to from
// meanwhile. The error matches [errors.ErrUnsupported] if the file system cannot share blocks, or not
// between these folders. After an error, to may hold a part.
func Tree(ctx context.Context, from, to string) error {
	root := os.Geteuid() == 0
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		target := to + path[len(from):]
		switch e.Type() {
		case fs.ModeDir:
			if err = os.Mkdir(target, 0o700); err == nil {
				err = os.Chmod(target, info.Mode().Perm()) // whatever the umask is
			}
		case fs.ModeSymlink:
			var link string
			if link, err = os.Readlink(path); err == nil {
				err = os.Symlink(link, target)
			}
		case 0:
			err = file(path, target, info.Mode().Perm())
		default:
			err = &fs.PathError{Op: "copy", Path: path, Err: fs.ErrInvalid}
		}
		if own, ok := info.Sys().(*syscall.Stat_t); err == nil && ok && root {
			err = os.Lchown(target, int(own.Uid), int(own.Gid))
		}
		return err
	})
}

func file(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = File(source, target)
	if err == nil {
		err = target.Chmod(mode) // undo the umask
	}
	return errors.Join(err, target.Close())
}

// File makes the file to share all blocks of from. The error matches [errors.ErrUnsupported] if the
// file system cannot do that, or not between these files.
func File(from, to *os.File) error {
	err := unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
	switch err { // ioctl_ficlone(2)
	case nil:
		return nil
	case unix.EOPNOTSUPP, unix.EXDEV, unix.EINVAL, unix.ENOTTY, unix.ENOSYS:
		return errors.ErrUnsupported
	}
	return &fs.PathError{Op: "reflink", Path: to.Name(), Err: err}
}
