// Package durable writes whole files that survive a crash: the file then has either its old content
// or its new one. All other packages use it for that.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes content to path and replaces any file or link with that name. It first writes to
// tmp, a path on the same file system that only the caller uses; it removes a leftover there. It
// blocks for two fsyncs (about 1 ms on a local disk). After an error, path is unchanged, or it has
// the new content but may lose it in a power cut.
func Replace(path, tmp string, content []byte, mode fs.FileMode) error {
	os.Remove(tmp)
	if err := Create(tmp, content, mode); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Create creates the file path with this mode, whatever the umask. When it returns, the content is
// on disk; the name is on disk after [SyncDir]. If path exists, the error is [fs.ErrExist]. After
// any other error there is no file.
func Create(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode) // the umask may have removed bits
	}
	if err == nil {
		err = f.Sync() // otherwise a crash can leave an empty file under its final name
	}
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
