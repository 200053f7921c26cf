package access

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"paas/durable"
)

// tmpFile returns a new path in dir/tmp for a file that becomes dir/name. It creates the folders of
// both with mode 0700.
func tmpFile(dir, name string) (string, error) {
	tmp := filepath.Join(dir, "tmp")
	for _, d := range []string{tmp, filepath.Dir(filepath.Join(dir, name))} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", err
		}
	}
	return filepath.Join(tmp, "new-"+rand.Text()), nil
}

// writeNew writes data to dir/name with mode 0600, atomically: it writes and syncs a file in
// dir/tmp and then links it to its name. It never replaces a file. If the name exists, the error is
// fs.ErrExist, so of two writers exactly one wins. name may contain a folder.
func writeNew(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	file, err := tmpFile(dir, name)
	if err != nil {
		return err
	}
	if err := durable.Create(file, data, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	// Not a rename, which would replace an existing file.
	if err := os.Link(file, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fs.ErrExist
		}
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// replace writes data to dir/name with mode 0600, atomically: after an error, such as of a full
// disk, the old content is there, or the new one.
func replace(dir, name string, data []byte) error {
	file, err := tmpFile(dir, name)
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(dir, name), file, data, 0o600)
}

// remove removes dir/name, if it is there.
func remove(dir, name string) error {
	err := os.Remove(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncDir(filepath.Dir(filepath.Join(dir, name))))
}

// lock keeps all other writers out of dir, in this process and in others, until unlock is called.
// It blocks while another has the lock, of the file dir/lock. The kernel frees the lock of a process
// that dies.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
