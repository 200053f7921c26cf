package main

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// maxServerLog is the maximum size in bytes of the server's log, and of the one before it.
const maxServerLog = 10 << 20

// serverLog is the file named by the setting log-file. When it is full, it is renamed to end in .1,
// and a new file begins. It is also the standard error of the process, so it gets what Go prints in
// a crash. Several processes may share one file.
type serverLog struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// openServerLog opens or creates the file at path.
func openServerLog(path string) (*serverLog, error) {
	l := &serverLog{path: path}
	return l, l.open()
}

func (l *serverLog) open() error {
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
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	info, err := l.file.Stat()
	if err == nil && info.Size() > 0 && info.Size()+int64(len(p)) > maxServerLog {
		l.rotate(info)
	}
	return l.file.Write(p)
}

func (l *serverLog) rotate(ours fs.FileInfo) {
	there, err := os.Stat(l.path)
	if err == nil && os.SameFile(there, ours) { // otherwise another process has renamed it
		err = os.Rename(l.path, l.path+".1")
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		l.open() // on error, keep using the old file
	}
}
