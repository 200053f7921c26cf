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

// folder is an open folder into which files of a commit are written, while an app may be at work in
// it and below. Its methods take the name of one entry, never a path, and follow no symbolic link,
// so that a link put in a folder's place at the worst moment leads nowhere. [os.Root] would follow
// one to another folder inside, and cannot rename a file into itself from outside.
//
// Errors are [*fs.PathError], with the path as in the commit.
type folder struct {
	*os.File
	path string // as in the commit; empty for the outermost
}

// openFolder opens the outermost folder.
func openFolder(dir string) (folder, error) {
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	return folder{File: f}, err
}

func (f folder) fd() int { return int(f.Fd()) }

// sub opens the folder called name. The error says isNoFolder where something else is there.
func (f folder) sub(name string) (folder, error) {
	var fd int
	err := f.try("open", name, func() (err error) {
		fd, err = unix.Openat(f.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return folder{}, err
	}
	at := path.Join(f.path, name)
	return folder{os.NewFile(uintptr(fd), at), at}, nil
}

// isNoFolder says whether a folder could not be opened because something else has its name.
func isNoFolder(err error) bool {
	return errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) // ELOOP: a link, not on Linux
}

// make opens the folder called name, and makes it where there is none.
func (f folder) make(name string) (folder, error) {
	sub, err := f.sub(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	err = f.try("mkdir", name, func() error { return unix.Mkdirat(f.fd(), name, 0o755) })
	if err != nil && !errors.Is(err, fs.ErrExist) { // somebody else may make the same one
		return folder{}, err
	}
	if sub, err = f.sub(name); err != nil {
		return folder{}, err
	}
	if err = sub.Chmod(0o755); err != nil { // the umask may have taken bits away
		sub.Close()
	}
	return sub, err
}

// buffers are what files are copied through: one for each of 20,000 would be 640 MB to collect.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 32<<10)) }}

// create makes the new file called name.
func (f folder) create(name string, mode fs.FileMode, content io.Reader) error {
	file, err := f.openFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, content, *buffer) // bare: else it finds its own buffer
	buffers.Put(buffer)
	if err == nil {
		err = file.Chmod(mode)
	}
	return errors.Join(err, file.Close())
}

// read opens the file called name for reading; the error is [fs.ErrInvalid] where something else is
// there.
func (f folder) read(name string) (*os.File, error) {
	file, err := f.openFile(name, unix.O_RDONLY|unix.O_NONBLOCK, 0) // else a named pipe blocks for ever
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path.Join(f.path, name), Err: fs.ErrInvalid}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f folder) openFile(name string, flags int, mode uint32) (*os.File, error) {
	var fd int
	err := f.try("open", name, func() (err error) {
		fd, err = unix.Openat(f.fd(), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path.Join(f.path, name)), nil
}

// link makes name a symbolic link to target.
func (f folder) link(target, name string) error {
	return f.try("symlink", name, func() error { return unix.Symlinkat(target, f.fd(), name) })
}

// target is where the symbolic link called name leads.
func (f folder) target(name string) (string, error) {
	b := make([]byte, maxLink+1)
	n := 0
	err := f.try("readlink", name, func() (err error) {
		n, err = unix.Readlinkat(f.fd(), name, b)
		return err
	})
	return string(b[:max(n, 0)]), err
}

// has says whether there is something called name, and whether it is a folder.
func (f folder) has(name string) (there, isFolder bool, err error) {
	var s unix.Stat_t
	err = f.try("stat", name, func() error { return unix.Fstatat(f.fd(), name, &s, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	return err == nil, s.Mode&unix.S_IFMT == unix.S_IFDIR, err
}

// remove removes the file or link called name.
func (f folder) remove(name string) error {
	return f.try("remove", name, func() error { return unix.Unlinkat(f.fd(), name, 0) })
}

// removeFolder removes the empty folder called name.
func (f folder) removeFolder(name string) error {
	return f.try("remove", name, func() error { return unix.Unlinkat(f.fd(), name, unix.AT_REMOVEDIR) })
}

// move moves what is called name into another folder, replacing a file or link that is there in one
// step.
func (f folder) move(name string, to folder, as string) error {
	return to.try("rename", as, func() error { return unix.Renameat(f.fd(), name, to.fd(), as) })
}

// touch sets the times of the file or link called name to now.
func (f folder) touch(name string) error {
	return f.try("chtimes", name, func() error {
		return unix.UtimesNanoAt(f.fd(), name, nil, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// try calls a system call again while signals interrupt it, as package os does, which they do on
// network file systems and in the Go runtime's own pre-emption.
func (f folder) try(op, name string, call func() error) error {
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
