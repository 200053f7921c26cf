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
	rung    map[string]chan struct{} // by app that is being looked at: a ring since
	running sync.WaitGroup
}

// busy is how long a look waits for an app whose turn is taken, since not every holder rings the bell
// at its end.
const busy = 250 * time.Millisecond

// maxPause is the longest interval between looks that fail; the first is busy.
const maxPause = 10 * time.Second

// wake has the app looked at soon. It does not block.
func (r *Receiver) wake(ctx context.Context, app string) {
	w := &r.wakes
	w.mu.Lock()
	defer w.mu.Unlock()
	if rung, looking := w.rung[app]; looking {
		select {
		case rung <- struct{}{}:
		default:
		}
		return
	}
	if ctx.Err() != nil || volume.CheckName(app) != nil {
		return
	}
	if w.rung == nil {
		w.rung = map[string]chan struct{}{}
	}
	rung := make(chan struct{}, 1)
	w.rung[app] = rung
	w.running.Go(func() { r.lookAfter(ctx, app, rung) })
}

// lookAfter looks at the app until there is nothing more to do. What fails, such as moving the branch on
// a full disk, is tried again at growing intervals, and logged once for each reason. A damaged file is
// for a person to mend.
func (r *Receiver) lookAfter(ctx context.Context, app string, rung <-chan struct{}) {
	w := &r.wakes
	for pause := busy; ; {
		settled, err := r.check(ctx, app)
		if ctx.Err() == nil && r.news(app, err) {
			r.Log.Error("not reconciled", "app", app, "err", err)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil && !volume.IsDamage(err):
			select { // a bell says nothing about what failed
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxPause)
			continue
		case !settled:
			select {
			case <-ctx.Done():
			case <-rung:
			case <-time.After(busy):
			}
			continue
		}
		pause = busy
		w.mu.Lock()
		if ctx.Err() != nil || len(rung) == 0 {
			delete(w.rung, app)
			w.mu.Unlock()
			return
		}
		<-rung
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
	err = repo.Check()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // nothing was pushed yet
	}
	if app.TurnHeld() { // whoever has it changes what is looked at
		return false, nil
	}
	v, unread := look(app, repo)
	if volume.IsDamage(unread) { // for a person to mend
		return true, unread
	}
	if do := v.next().do; err == nil && unread == nil && (do == rest || do == await) { // the bell rings when it has arrived
		return true, nil
	}
	done, ok := app.TryTurn("the server's check")
	if !ok {
		return !app.Exists(), nil
	}
	defer done()
	if _, err := r.reconcile(ctx, app, true); err != nil {
		return true, err
	}
	app.Ring() // a command may wait for this
	return true, nil
}
