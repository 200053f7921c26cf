package keep

import "context"

// watcher is a call of [Fleet.Watch].
type watcher struct {
	apps map[string]struct{} // changed since the last report
	wake chan struct{}       // has one place
}

// Watch implements [engine.Fleet.Watch].
func (f *Fleet) Watch(ctx context.Context, changed func(app string)) error {
	w := &watcher{apps: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.watchers == nil {
		f.watchers = map[*watcher]struct{}{}
	}
	f.watchers[w] = struct{}{}
	for app := range f.apps { // what changed before this call, and may be gone
		w.tell(app)
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, w)
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.wake:
		}
		f.mu.Lock()
		apps := w.apps
		w.apps = map[string]struct{}{}
		f.mu.Unlock()
		for app := range apps {
			changed(app)
		}
	}
}

// tell records that a place of the app has changed. The fleet is locked.
func (w *watcher) tell(app string) {
	w.apps[app] = struct{}{}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
