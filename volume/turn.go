package volume

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// queues has a queue for each app, in order of arrival, of those in this process who want its turn.
// The lock on the file, which keeps other processes out, knows no order.
type queues struct {
	mu   sync.Mutex
	apps map[string]*queue
}

type queue struct {
	holder  string
	waiting []chan struct{}
}

// Turn waits until it is the caller's turn to deploy the app; call done to end it. Within one
// process, turns go in the order of the calls. who names the caller in a few words ("alice's
// push"). If the caller has to wait, waiting is called once with the words of the holder; it may be
// nil. The turn of a process that dies is free at once. The error is that of ctx, or [ErrNoApp].
func (a App) Turn(
	ctx context.Context, who string, waiting func(holder string),
) (done func(), err error) {
	leave, err := a.vol.queues.join(ctx, a.Name, who, &waiting)
	if err != nil {
		return nil, err
	}
	f, err := a.lockTurn(ctx, who, waiting)
	if err != nil {
		leave()
		return nil, err
	}
	return sync.OnceFunc(func() {
		f.Truncate(0) // else the next one is told to wait for us
		f.Close()     // frees the lock
		leave()
	}), nil
}

// TryTurn takes the app's turn if nobody has it; ok is false otherwise. It does not block.
func (a App) TryTurn(who string) (done func(), ok bool) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // Turn still takes a free turn, and does not wait for another
	done, err := a.Turn(ctx, who, nil)
	return done, err == nil
}

// TurnHeld reports whether somebody, in any process, has the app's turn. If that cannot be found
// out, it returns true.
func (a App) TurnHeld() bool {
	if a.vol.queues.held(a.Name) {
		return true
	}
	f, err := os.OpenFile(a.path("turn"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil { // such as too many open files: somebody may hold it
		return !errors.Is(err, os.ErrNotExist)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

func (l *queues) held(app string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.apps[app] != nil
}

func (l *queues) join(
	ctx context.Context, app, who string, waiting *func(string),
) (leave func(), err error) {
	l.mu.Lock()
	if l.apps == nil {
		l.apps = map[string]*queue{}
	}
	q := l.apps[app]
	if q == nil {
		l.apps[app] = &queue{holder: who}
		l.mu.Unlock()
		return func() { l.leave(app) }, nil
	}
	called := make(chan struct{}, 1)
	q.waiting = append(q.waiting, called)
	holder := q.holder
	l.mu.Unlock()

	if *waiting != nil {
		(*waiting)(holder)
		*waiting = nil
	}
	select {
	case <-called:
		l.mu.Lock()
		q.holder = who
		l.mu.Unlock()
		return func() { l.leave(app) }, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range q.waiting {
		if c == called {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return nil, ctx.Err()
		}
	}
	l.leaveLocked(app) // it was our turn just now: pass it on
	return nil, ctx.Err()
}

func (l *queues) leave(app string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(app)
}

func (l *queues) leaveLocked(app string) {
	q := l.apps[app]
	if len(q.waiting) == 0 {
		delete(l.apps, app)
		return
	}
	next := q.waiting[0]
	q.waiting = q.waiting[1:]
	next <- struct{}{}
}

// lockTurn takes the lock that other processes see. It is an flock, not the existence of a file,
// which would outlive a killed process and keep everybody out.
func (a App) lockTurn(ctx context.Context, who string, waiting func(string)) (*os.File, error) {
	const retry = 20 * time.Millisecond
	for {
		f, err := os.OpenFile(a.path("turn"), os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			return nil, ErrNoApp
		}
		if errors.Is(err, syscall.EISDIR) {
			if err := a.vol.aside(a.path("turn")); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			if !a.Exists() { // it was renamed while we waited
				f.Close()
				if _, err := a.vol.App(a.Name); err != nil {
					return nil, err
				}
				continue
			}
			if sameFile(f, a.path("turn")) {
				f.Truncate(0)
				f.WriteAt([]byte(who), 0)
				return f, nil
			}
			f.Close() // the app was destroyed while we waited, and perhaps made again
			continue
		}
		if waiting != nil {
			holder := make([]byte, 200)
			n, _ := f.ReadAt(holder, 0)
			if n > 0 {
				waiting(string(holder[:n]))
				waiting = nil
			}
		}
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retry):
		}
	}
}
