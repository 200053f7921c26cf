package watch

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// notifier tells of events in folders; see [fsnotify.Watcher].
type notifier interface {
	Add(folder string) error
	Remove(folder string) error
	Close() error
}

// events is a notifier and its channels. The zero value watches nothing and stays silent.
type events struct {
	notifier
	happened <-chan fsnotify.Event
	errors   <-chan error
}

// openEvents opens the system's own.
func openEvents() (events, error) {
	// The room saves switches between goroutines while a checkout is written.
	w, err := fsnotify.NewBufferedWatcher(1024)
	if err != nil {
		return events{}, err
	}
	return events{w, w.Events, w.Errors}, nil
}

// add watches a folder; that it is gone or not readable is no error. Added again, it is watched
// even if it is another folder by now.
func (e events) add(folder string) error {
	err := e.notifier.Add(folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

// remove gives a watch up; the system may have done so already.
func (e events) remove(folder string) { e.notifier.Remove(folder) }

// exhausted says in the words of an administrator why there are no events.
func exhausted(err error) string {
	setting := ""
	switch {
	case errors.Is(err, syscall.ENOSPC):
		setting = "max_user_watches"
	case errors.Is(err, syscall.EMFILE):
		setting = "max_user_instances"
	default:
		return err.Error()
	}
	limit, _ := os.ReadFile("/proc/sys/fs/inotify/" + setting)
	return strings.TrimSpace("fs.inotify." + setting + " is used up " + strings.TrimSpace(string(limit)))
}
