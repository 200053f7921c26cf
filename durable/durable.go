// Package durable writes whole files that survive a crash: afterwards a file has its old content or its
// new one, and never a part of it. It is the only place that does so. It knows nothing about the content.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace gives path the content, in place of any file or link of that name. It writes tmp first: a path
// of the caller's own on the same file system, where any file is an old one of a crash. It blocks for two
// fsyncs (about 1 ms on a local disk). With an error path is as it was, or has the content until a power
// cut.
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

// Create makes the file path, with that mode whatever the umask is. Its content is on disk when Create
// returns; its name is after [SyncDir]. The error is [fs.ErrExist] if there is one; after any other, there
// is none.
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
		err = f.Sync() // else a crash can leave an empty file under a name that it gets later
	}
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// SyncDir makes the names in dir survive a power cut.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
