package main

import (
	"context"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// folderEvents reports the names of what changes in dir, as the system itself notices it.
func folderEvents(ctx context.Context, dir string) (<-chan string, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(dir); err != nil {
		w.Close()
		return nil, err
	}
	names := make(chan string)
	go func() {
		defer w.Close()
		defer close(names)
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-w.Errors: // an overflow, say: the volume's poll finds what was lost
				if !ok {
					return
				}
			case e, ok := <-w.Events:
				if !ok || e.Name == dir && e.Has(fsnotify.Remove|fsnotify.Rename) { // nothing more comes of a folder that is gone
					return
				}
				select {
				case names <- filepath.Base(e.Name):
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return names, nil
}
