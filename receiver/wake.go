package receiver

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"paas/volume"
)

// wakes are the apps being looked at, one goroutine each while there is something to see.
type wakes struct {
	mu      sync.Mutex
	again   map[string]bool // present: being looked at; true: rung since
	running sync.WaitGroup
}

// busy is how long a look waits for an app whose turn is taken: its holder rings no bell at the end.
const busy = 250 * time.Millisecond

// wake has the app looked at soon. It does not block.
func (r *Receiver) wake(ctx context.Context, app string) {
	w := &r.wakes
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, looking := w.again[app]; looking {
		w.again[app] = true
		return
	}
	if ctx.Err() != nil || volume.CheckName(app) != nil {
		return
	}
	if w.again == nil {
		w.again = map[string]bool{}
	}
	w.again[app] = false
	w.running.Go(func() { r.lookAfter(ctx, app) })
}

// lookAfter looks at the app until there is nothing more to do.
func (r *Receiver) lookAfter(ctx context.Context, app string) {
	w := &r.wakes
	for {
		settled, err := r.check(ctx, app)
		if err != nil && ctx.Err() == nil {
			r.Log.Error("not reconciled", "app", app, "err", err)
		}
		if !settled {
			select {
			case <-ctx.Done():
			case <-time.After(busy):
				continue
			}
		}
		w.mu.Lock()
		if ctx.Err() != nil || !w.again[app] {
			delete(w.again, app)
			w.mu.Unlock()
			return
		}
		w.again[app] = false
		w.mu.Unlock()
	}
}

// check reconciles the app if need be; settled is false where somebody else has its turn. It looks
// first and asks for the turn only to act, so that nobody has to wait for a look.
func (r *Receiver) check(ctx context.Context, name string) (settled bool, err error) {
	app, err := r.Volume.App(name)
	if err != nil {
		return true, nil // destroyed
	}
	repo := r.repo(app)
	if err := repo.Check(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // nothing was pushed yet
		}
		return true, err
	}
	v, err := look(app, repo, nil)
	if err != nil {
		return true, err
	}
	if do := v.next().do; do == rest || do == await { // the bell rings when it has arrived
		return true, nil
	}
	done, ok := app.TryTurn("the server's check")
	if !ok {
		return !app.Exists(), nil
	}
	defer done()
	return true, r.reconcile(ctx, app, goLive)
}
