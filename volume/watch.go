package volume

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Ring tells everybody who watches that something about the app has changed. It is cheap, not
// durable, and returns no error: a lost ring costs one interval between polls.
func (a App) Ring() {
	bell := filepath.Join(a.vol.Root, "bell", a.Name)
	ring := func() error { return os.WriteFile(bell, []byte{'\n'}, 0o644) }
	switch err := ring(); {
	case errors.Is(err, fs.ErrNotExist): // somebody has removed the folder
		os.Mkdir(filepath.Dir(bell), 0o755)
		ring()
	case errors.Is(err, syscall.EISDIR):
		os.RemoveAll(bell)
		ring()
	}
}

// hub is the one watch of this process on the folder bell/: a user has few inotify instances (128).
type hub struct {
	mu          sync.Mutex
	subscribers map[*func(app string)]struct{}
	stop        context.CancelFunc
}

// Watch calls changed with the name of an app after each change of it, until stop is called.
// changed runs on the goroutine that watches, and must not block. A call means no more than
// "compare and act".
func (v *Volume) Watch(changed func(app string)) (stop func()) {
	h := &v.hub
	key := &changed
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		h.subscribers = map[*func(string)]struct{}{}
	}
	h.subscribers[key] = struct{}{}
	if h.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.stop = cancel
		var events <-chan string
		if v.Notify != nil {
			events, _ = v.Notify(ctx, filepath.Join(v.Root, "bell")) // with an error it only polls
		}
		seen, _ := v.bells() // with an error everybody is told once more than needed
		go v.listen(ctx, events, seen)
	}
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, key)
		if len(h.subscribers) == 0 {
			h.stop()
			h.stop = nil
		}
	})
}

// relaxed is how many times longer the interval between polls is with notifications: some may not
// arrive, but an idle server should cost next to nothing.
const relaxed = 5

// listen tells the subscribers what events report, and what only the poll finds.
func (v *Volume) listen(ctx context.Context, events <-chan string, seen map[string]time.Time) {
	ended := false // whether notifications have, such as when the folder was removed
	tick := time.NewTicker(v.poll())
	defer tick.Stop()
	if events != nil {
		tick.Reset(relaxed * v.poll())
	}
	for {
		select {
		case <-ctx.Done():
			return
		case name, ok := <-events:
			if !ok {
				events, ended = nil, true // a nil channel blocks, and the poll goes on
				tick.Reset(v.poll())
				continue
			}
			v.tell(name)
		case <-tick.C:
			if ended {
				if again, err := v.Notify(ctx, filepath.Join(v.Root, "bell")); err == nil {
					events, ended = again, false
					tick.Reset(relaxed * v.poll())
				}
			}
			now, err := v.bells()
			if err != nil { // such as too many open files: the next poll will tell
				continue
			}
			for name, at := range now {
				if !seen[name].Equal(at) {
					v.tell(name)
				}
			}
			for name := range seen {
				if _, there := now[name]; !there {
					v.tell(name)
				}
			}
			seen = now
		}
	}
}

func (v *Volume) tell(app string) {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	for changed := range v.hub.subscribers {
		(*changed)(app)
	}
}

// bells are the times when each app's bell was last rung.
func (v *Volume) bells() (map[string]time.Time, error) {
	entries, err := os.ReadDir(filepath.Join(v.Root, "bell"))
	at := make(map[string]time.Time, len(entries))
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			at[e.Name()] = info.ModTime()
		}
	}
	return at, err
}

func (v *Volume) poll() time.Duration {
	return max(cmp.Or(v.Poll, time.Second), 10*time.Millisecond)
}

// Await blocks until done returns true or an error, or ctx ends. It calls done at once, after each
// change of the app, and each [Volume.Poll].
func (a App) Await(ctx context.Context, done func() (bool, error)) error {
	changed := make(chan struct{}, 1) // the newest ring covers all before it
	stop := a.vol.Watch(func(app string) {
		if app == a.Name {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})
	defer stop()
	// two rings within one tick of the file system's clock look like one
	tick := time.NewTicker(a.vol.poll())
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-tick.C:
		}
	}
}

// AwaitOver blocks until release n is live or over, its app is gone, or ctx ends.
func (a App) AwaitOver(ctx context.Context, n int) (s Status, err error) {
	err = a.Await(ctx, func() (bool, error) {
		s, err = a.Status(n)
		if err == nil && !a.Exists() {
			err = ErrNoApp
		}
		return err == nil && s.State.Over(), err
	})
	return s, err
}
