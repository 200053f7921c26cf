package volume

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// lines are the queues of this process, one an app, in order of arrival. The lock on the file that
// keeps other processes out knows no order.
type lines struct {
	mu   sync.Mutex
	apps map[string]*line
}

type line struct {
	holder  string
	waiting []chan struct{}
}

// Turn waits until it is the caller's turn to deploy the app, and returns what gives the turn up
// again. Within one process turns go in order of asking. who says in a few words who this is
// ("alice's push"); waiting, if not nil, is called once with the holder's words where the caller
// has to wait. The turn of a process that dies is free at once. The error is ctx's, or says that
// the app is gone.
func (a App) Turn(ctx context.Context, who string, waiting func(holder string)) (done func(), err error) {
	leave, err := a.vol.lines.join(ctx, a.Name, who, &waiting)
	if err != nil {
		return nil, err
	}
	f, err := a.lockTurn(ctx, who, waiting)
	if err != nil {
		leave()
		return nil, err
	}
	return sync.OnceFunc(func() {
		f.Truncate(0) // or who comes next is told to wait for us
		f.Close()     // frees the lock
		leave()
	}), nil
}

// TryTurn takes the app's turn if nobody has it; ok is false otherwise. It does not block.
func (a App) TryTurn(who string) (done func(), ok bool) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a free turn is given all the same; a held one is not waited for
	done, err := a.Turn(ctx, who, nil)
	return done, err == nil
}

// TurnHeld says whether anybody, in any process, is deploying the app now; it says so too where that
// cannot be told.
func (a App) TurnHeld() bool {
	if a.vol.lines.held(a.Name) {
		return true
	}
	f, err := os.OpenFile(a.path("turn"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil { // too many open files, say: somebody may hold it, and has not abandoned anything
		return !errors.Is(err, os.ErrNotExist)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

func (l *lines) held(app string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.apps[app] != nil
}

func (l *lines) join(ctx context.Context, app, who string, waiting *func(string)) (leave func(), err error) {
	l.mu.Lock()
	if l.apps == nil {
		l.apps = map[string]*line{}
	}
	q := l.apps[app]
	if q == nil {
		l.apps[app] = &line{holder: who}
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
	l.leaveLocked(app) // called while leaving: pass the turn on
	return nil, ctx.Err()
}

func (l *lines) leave(app string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(app)
}

func (l *lines) leaveLocked(app string) {
	q := l.apps[app]
	if len(q.waiting) == 0 {
		delete(l.apps, app)
		return
	}
	next := q.waiting[0]
	q.waiting = q.waiting[1:]
	next <- struct{}{}
}

// lockTurn takes the lock other processes see. flock, not a file's presence: a lock file outlives
// a killed process and then keeps everybody out.
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
			if sameFile(f, a.path("turn")) {
				f.Truncate(0)
				f.WriteAt([]byte(who), 0)
				return f, nil
			}
			f.Close() // the app was destroyed, and perhaps made again, while we waited
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
