package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"paas/engine"
	"paas/volume"
)

// oneOff is a one-off command that runs.
type oneOff struct {
	rt      *Runtime
	app     volume.App
	born    string // identity of the app
	n       int    // of the app's; its name is run.<n>
	release int
	since   time.Time
	log     *slog.Logger

	ctx     context.Context // ends when the command should stop
	cancel  context.CancelCauseFunc
	unwatch func() // ends the watch for the app's end
	letGo   func() // releases its build
	proc    engine.Process

	detached *engine.Detached // nil: a person waits for it
}

func (r *oneOff) name() string { return fmt.Sprintf("run.%d", r.n) }

// over forgets the command, which has ended or never began.
func (r *oneOff) over() {
	r.unwatch()
	r.cancel(nil)
	r.letGo()
	r.rt.oneoffs.leave(r)
	if r.proc != nil {
		r.app.Ring() // it is listed no more
	}
}

// oneoffs are the one-off commands of all apps, and the builds that are in use. The zero value is
// ready.
type oneoffs struct {
	mu     sync.Mutex
	closed bool
	all    []*oneOff      // oldest first
	last   map[string]int // the highest number given, by app
	builds map[string]int // how many users it has, by app/build
	wait   sync.WaitGroup
}

var (
	errStopping  = errors.New("the server is stopping")
	errDestroyed = errors.New("the app was destroyed")
)

// enter adds a command of the app and gives it a number.
func (o *oneoffs) enter(ctx context.Context, app volume.App, release int) (*oneOff, error) {
	born, err := app.Identity()
	if err != nil {
		return nil, err
	}
	r := &oneOff{app: app, born: born, release: release, since: time.Now().UTC()}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		r.cancel(errStopping)
		return nil, errStopping
	}
	r.n = o.last[app.Name] + 1
	if numbers := outputs(app); len(numbers) > 0 { // also those from before the server started
		r.n = max(r.n, numbers[len(numbers)-1]+1)
	}
	o.add(r)
	return r, nil
}

// adopt adds a command that an earlier server has detached.
func (o *oneoffs) adopt(rt *Runtime, found foundRun) {
	app, err := rt.Volume.App(found.App)
	if err != nil { // destroyed a moment ago: the watch sees it too
		rt.Log.Error("cannot take up a command", "app", found.App, "err", err)
		return
	}
	r := &oneOff{
		rt: rt, app: app, born: found.note.App, n: found.Index, release: found.Release,
		since: found.Since, letGo: found.letGo, proc: found.Process, detached: found.Detached,
	}
	r.log = rt.Log.With("app", app.Name, "process", r.name())
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(r)
	go r.attend()
}

// add adds r, and watches whether its app is destroyed. The caller holds the lock.
func (o *oneoffs) add(r *oneOff) {
	if o.last == nil {
		o.last = map[string]int{}
	}
	name := r.app.Name
	o.last[name] = max(o.last[name], r.n)
	o.all = append(o.all, r)
	o.wait.Add(1)
	look := func(changed string) {
		if changed != name {
			return
		}
		if id, err := r.app.Identity(); err == nil && id != r.born {
			r.cancel(errDestroyed)
		}
	}
	r.unwatch = r.app.Volume().Watch(look)
	look(name) // in case it happened before
}

// letGo leaves the detached commands to the next server.
func (o *oneoffs) letGo() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all {
		if r.detached != nil {
			r.cancel(errLeft)
		}
	}
}

// started notes the process of r.
func (o *oneoffs) started(r *oneOff, p engine.Process) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.proc = p
}

func (o *oneoffs) leave(r *oneOff) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, other := range o.all {
		if other == r {
			o.all = append(o.all[:i:i], o.all[i+1:]...)
			break
		}
	}
	o.wait.Done()
}

// close stops all commands and lets none begin any more. The channel closes when none is left.
func (o *oneoffs) close() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, r := range o.all {
		r.cancel(errStopping)
	}
	return o.none()
}

// none returns a channel that closes when no command is left.
func (o *oneoffs) none() <-chan struct{} {
	none := make(chan struct{})
	go func() {
		o.wait.Wait()
		close(none)
	}()
	return none
}

// oneOffsOf lists the app's one-off commands that run now, oldest first.
func (rt *Runtime) oneOffsOf(app string) (list []volume.Process) {
	o := &rt.oneoffs
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all {
		if r.app.Name == app && r.proc != nil {
			list = append(list, volume.Process{
				Type: "run", Index: r.n, Release: r.release, State: string(Running),
				PID: r.proc.PID(), Since: r.since, Limits: r.proc.Limits(),
			})
		}
	}
	return list
}

// hold keeps a build from being removed until release is called: something runs in it.
func (rt *Runtime) hold(app, build string) (release func()) {
	o, key := &rt.oneoffs, app+"/"+build
	add := func(n int) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.builds == nil {
			o.builds = map[string]int{}
		}
		if o.builds[key] += n; o.builds[key] == 0 {
			delete(o.builds, key)
		}
	}
	add(1)
	return sync.OnceFunc(func() { add(-1) })
}

// held reports whether something runs in the build.
func (rt *Runtime) held(app, build string) bool {
	o := &rt.oneoffs
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.builds[app+"/"+build] > 0
}
