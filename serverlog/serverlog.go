// Package serverlog is the file that the server logs to, which never outgrows its limit.
package serverlog

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// maxSize is the maximum size in bytes of a log, and of the one before it.
const maxSize = 10 << 20

// Log is a file that the server logs to. When it is full, it is renamed to end in .1,
// and a new file begins. It is also the standard error of the process, so it gets what Go prints in
// a crash. Several processes may share one file.
type Log struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// Open opens or creates the file at path.
func Open(path string) (*Log, error) {
	l := &Log{path: path}
	return l, l.open()
}

func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := becomeStderr(file); err != nil {
		return errors.Join(err, file.Close())
	}
	l.file.Close() // the previous file, if any
	l.file = file
	return nil
}

// Write appends whole lines. If the file cannot be renamed, it keeps growing.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	info, err := l.file.Stat()
	if err == nil && info.Size() > 0 && info.Size()+int64(len(p)) > maxSize {
		l.rotate(info)
	}
	return l.file.Write(p)
}

func (l *Log) rotate(ours fs.FileInfo) {
	there, err := os.Stat(l.path)
	if err == nil && os.SameFile(there, ours) { // otherwise another process has renamed it
		err = os.Rename(l.path, l.path+".1")
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		l.open() // on error, keep using the old file
	}
}
