package receiver

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"paas/volume"
)

// wakes are the apps that are being reconciled, each by a goroutine that ends when nothing is left
// to do.
type wakes struct {
	mu      sync.Mutex
	rung    map[string]chan struct{} // by app: a ring since then
	running sync.WaitGroup
}

// busy is the interval between checks of an app whose turn is taken, because not every holder rings
// the bell at its end.
const busy = 250 * time.Millisecond

// maxPause is the longest interval between tries that fail; the first is busy.
const maxPause = 10 * time.Second

// wake reconciles the app soon. It does not block.
func (r *Receiver) wake(ctx context.Context, app string) {
	w := &r.wakes
	w.mu.Lock()
	defer w.mu.Unlock()
	if rung, running := w.rung[app]; running {
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
	w.running.Go(func() { r.keepChecking(ctx, app, rung) })
}

// keepChecking checks the app until nothing is left to do. What fails, such as moving the branch on
// a full disk, is tried again at growing intervals, and logged once for each reason. A person has
// to repair a damaged file.
func (r *Receiver) keepChecking(ctx context.Context, app string, rung <-chan struct{}) {
	w := &r.wakes
	for pause := busy; ; {
		done, err := r.check(ctx, app)
		if ctx.Err() == nil && r.news(app, err) {
			r.Log.Error("not reconciled", "app", app, "err", err)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil && !volume.IsDamage(err):
			select { // a ring says nothing about what failed
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxPause)
			continue
		case !done:
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

// check reconciles the app if needed; done is false if somebody else has its turn. It takes the
// turn only to act, so that nobody has to wait for a mere check.
func (r *Receiver) check(ctx context.Context, name string) (done bool, err error) {
	app, err := r.Volume.App(name)
	if err != nil {
		return true, nil // it was destroyed
	}
	repo := r.repo(app)
	err = repo.Check()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // nothing has been pushed yet
	}
	if app.TurnHeld() { // its holder is changing what would be checked
		return false, nil
	}
	v, unread := readView(app, repo)
	if volume.IsDamage(unread) { // a person has to repair it
		return true, unread
	}
	// the bell rings when the release is live
	if do := v.next().do; err == nil && unread == nil && (do == rest || do == await) {
		return true, nil
	}
	endTurn, ok := app.TryTurn("the server's check")
	if !ok {
		return !app.Exists(), nil
	}
	defer endTurn()
	if _, err := r.reconcile(ctx, app, true); err != nil {
		return true, err
	}
	app.Ring() // a command may wait for this
	return true, nil
}
