package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Own gives the folder dir, and all in it, to user uid, unless the folder is theirs already: it is given
// last. Links are given themselves, not what they lead to. It blocks for about 3 µs for each file. Nobody else
// may be writing in dir meanwhile.
func Own(dir string, uid int) error {
	var top unix.Stat_t
	if err := unix.Lstat(dir, &top); err != nil {
		return &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if int(top.Uid) == uid {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path == dir || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = os.Lchown(path, uid, uid)
		}
		return err
	})
	if err == nil {
		err = os.Lchown(dir, uid, uid)
	}
	return err
}

// As runs f with the rights that the box's user has to files, and where the box's command sees them: what f makes
// belongs to that user, and a link that the user has put in its way leads f to nothing that the user could not
// read or write. It counts for the goroutine that f is called on, which is another than the caller's, and not for
// those that f starts. Without Force.Users it only runs f.
func (b *Box) As(f func() error) error {
	if !b.Force.Users {
		return f()
	}
	return onThread(func() error {
		if err := b.see(); err != nil { // first: the user may not look below what is covered
			return fmt.Errorf("confine: %w", err)
		}
		if err := takeRights(b.UID); err != nil {
			return err
		}
		return f()
	})
}

// takeRights gives the calling thread uid's file rights (setfsuid(2)). The kernel then takes away what lets
// root ignore a file's mode. The raw calls are for this thread alone, where those of package syscall are for all.
func takeRights(uid int) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno
	}
	unix.RawSyscall(unix.SYS_SETFSGID, uintptr(uid), 0, 0) // they return the id before, and no error
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	if now, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0); int(now) != uid {
		return errors.New("setfsuid: not permitted")
	}
	return nil
}
