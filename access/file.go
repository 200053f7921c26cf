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

// tmpFile returns a new path in dir/tmp for something that becomes dir/name. It creates the folders
// of both with mode 0700.
func tmpFile(dir, name string) (string, error) {
	tmp := filepath.Join(dir, "tmp")
	err := errors.Join(os.MkdirAll(tmp, 0o700), os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
	return filepath.Join(tmp, "new-"+rand.Text()), err
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
