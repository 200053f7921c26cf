// Package folder reports changes in a folder, as the operating system reports them.
package folder

import (
	"context"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Events sends the names of the files that change in dir. It closes names when ctx ends or dir is
// removed. Some systems and network file systems lose events or report none, so callers must also
// poll dir from time to time.
func Events(ctx context.Context, dir string) (names <-chan string, err error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(dir); err != nil {
		w.Close()
		return nil, err
	}
	events := make(chan string)
	go func() {
		defer w.Close()
		defer close(events)
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-w.Errors: // an overflow, say
				if !ok {
					return
				}
			case e, ok := <-w.Events:
				if !ok || e.Name == dir && e.Has(fsnotify.Remove|fsnotify.Rename) {
					return
				}
				select {
				case events <- filepath.Base(e.Name):
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return events, nil
}
