package git

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"
)

// folder is an open folder that files of a commit are written to while an app may work in it and
// below. Its methods take the name of one entry, not a path, and follow no symbolic links, so a
// link that replaces a folder at any moment has no effect. [os.Root] would follow a link to another
// folder inside it, and cannot rename a file into itself from outside.
//
// Errors are [*fs.PathError] with the path in the commit.
type folder struct {
	*os.File
	path string // in the commit; empty for the root
}

// openFolder opens a root folder.
func openFolder(dir string) (folder, error) {
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	return folder{File: f}, err
}

func (f folder) fd() int { return int(f.Fd()) }

// subfolder opens a subfolder. isNoFolder holds for the error if name is something else.
func (f folder) subfolder(name string) (folder, error) {
	dir, err := f.openFile(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return folder{}, err
	}
	return folder{dir, path.Join(f.path, name)}, nil
}

// isNoFolder reports whether opening a folder failed because it is something else.
func isNoFolder(err error) bool {
	// ELOOP: a link, on systems other than Linux
	return errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// makeSubfolder opens a subfolder and makes it if it does not exist.
func (f folder) makeSubfolder(name string) (folder, error) {
	sub, err := f.subfolder(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	err = f.retryEINTR("mkdir", name, func() error { return unix.Mkdirat(f.fd(), name, 0o755) })
	if err != nil && !errors.Is(err, fs.ErrExist) { // somebody else may make it, too
		return folder{}, err
	}
	if sub, err = f.subfolder(name); err != nil {
		return folder{}, err
	}
	if err = sub.Chmod(0o755); err == nil { // undo the umask
		err = sub.give(f)
	}
	if err != nil {
		sub.Close()
	}
	return sub, err
}

// give makes the owner of in the owner of a folder that was made there, if this process may: apps may
// have users of their own.
func (f folder) give(in folder) error {
	uid, gid, err := in.owner()
	if uid == 0 || err != nil {
		return err
	}
	return f.Chown(uid, gid)
}

// owner returns who owns the folder; 0 if this process cannot make others the owner of anything.
func (f folder) owner() (uid, gid int, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, nil
	}
	var s unix.Stat_t
	err = f.retryEINTR("stat", ".", func() error { return unix.Fstat(f.fd(), &s) })
	return int(s.Uid), int(s.Gid), err
}

// chown makes an owner, if it is not 0, that of a file or link.
func (f folder) chown(name string, uid, gid int) error {
	if uid == 0 {
		return nil
	}
	return f.retryEINTR("chown", name, func() error {
		return unix.Fchownat(f.fd(), name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// buffers are reused for copying files: one for each of 20,000 files would be 640 MB of garbage.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 32<<10)) }}

// writeFile creates a file.
func (f folder) writeFile(name string, mode fs.FileMode, content io.Reader) error {
	file, err := f.openFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	// hide ReadFrom, which would allocate its own buffer
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, content, *buffer)
	buffers.Put(buffer)
	if err == nil {
		err = file.Chmod(mode)
	}
	return errors.Join(err, file.Close())
}

func (f folder) openFile(name string, flags int, mode uint32) (*os.File, error) {
	var fd int
	err := f.retryEINTR("open", name, func() (err error) {
		fd, err = unix.Openat(f.fd(), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path.Join(f.path, name)), nil
}

// symlink creates a symbolic link called name.
func (f folder) symlink(target, name string) error {
	return f.retryEINTR("symlink", name,
		func() error { return unix.Symlinkat(target, f.fd(), name) })
}

// readlink returns the target of a symbolic link.
func (f folder) readlink(name string) (string, error) {
	b := make([]byte, maxLink+1)
	n := 0
	err := f.retryEINTR("readlink", name, func() (err error) {
		n, err = unix.Readlinkat(f.fd(), name, b)
		return err
	})
	return string(b[:max(n, 0)]), err
}

// stat reports whether name exists and whether it is a folder.
func (f folder) stat(name string) (there, isFolder bool, err error) {
	var s unix.Stat_t
	err = f.retryEINTR("stat", name,
		func() error { return unix.Fstatat(f.fd(), name, &s, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	return err == nil, s.Mode&unix.S_IFMT == unix.S_IFDIR, err
}

// remove removes a file or link.
func (f folder) remove(name string) error {
	return f.retryEINTR("remove", name, func() error { return unix.Unlinkat(f.fd(), name, 0) })
}

// removeFolder removes an empty subfolder.
func (f folder) removeFolder(name string) error {
	return f.retryEINTR("remove", name,
		func() error { return unix.Unlinkat(f.fd(), name, unix.AT_REMOVEDIR) })
}

// removeAll removes an entry with everything in it, if it exists.
func (f folder) removeAll(name string) error {
	there, isFolder, err := f.stat(name)
	if err != nil || !there {
		return err
	}
	if !isFolder {
		return f.remove(name)
	}
	sub, err := f.subfolder(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	names, err := sub.Readdirnames(-1)
	for _, n := range names {
		err = errors.Join(err, sub.removeAll(n))
	}
	return errors.Join(err, f.removeFolder(name))
}

// rename moves an entry to another folder and atomically replaces a file or link there.
func (f folder) rename(name string, to folder, as string) error {
	return to.retryEINTR("rename", as,
		func() error { return unix.Renameat(f.fd(), name, to.fd(), as) })
}

// touch sets the times of a file or link to now.
func (f folder) touch(name string) error {
	return f.retryEINTR("chtimes", name, func() error {
		return unix.UtimesNanoAt(f.fd(), name, nil, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// retryEINTR repeats a system call that was interrupted by a signal, as package os does. That
// happens on network file systems and because of the runtime's preemption.
func (f folder) retryEINTR(op, name string, call func() error) error {
	for {
		switch err := call(); err {
		case nil:
			return nil
		case unix.EINTR:
		default:
			return &fs.PathError{Op: op, Path: path.Join(f.path, name), Err: err}
		}
	}
}
