package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// notifier sends events for folders; see [fsnotify.Watcher].
type notifier interface {
	Add(folder string) error
	Remove(folder string) error
	Close() error
}

// events is a notifier and its channels. The zero value watches nothing.
type events struct {
	notifier
	c      <-chan fsnotify.Event
	errors <-chan error
}

// openEvents opens the system's notifier.
func openEvents() (events, error) {
	// The buffer saves switching between goroutines during a checkout.
	w, err := fsnotify.NewBufferedWatcher(1024)
	if err != nil {
		return events{}, err
	}
	return events{w, w.Events, w.Errors}, nil
}

// add watches a folder. It ignores folders that are missing or unreadable. Adding a path again
// watches the folder that is there now.
func (e events) add(folder string) error {
	err := e.notifier.Add(folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

// remove stops watching a folder. It ignores errors, because the system may have done so already.
func (e events) remove(folder string) { e.notifier.Remove(folder) }

// limitMessage explains why there are no events. For a limit of the kernel it says how to raise it.
func limitMessage(err error) string {
	var what string
	switch {
	case errors.Is(err, syscall.ENOSPC):
		what = "watches"
	case errors.Is(err, syscall.EMFILE):
		what = "instances"
	default:
		return err.Error()
	}
	content, readErr := os.ReadFile("/proc/sys/fs/inotify/max_user_" + what)
	limit, parseErr := strconv.Atoi(strings.TrimSpace(string(content)))
	if readErr != nil || parseErr != nil {
		return err.Error()
	}
	return fmt.Sprintf("this user's %d inotify %s are used up "+
		"(sysctl fs.inotify.max_user_%s=%d allows more)", limit, what, what, 4*limit)
}
