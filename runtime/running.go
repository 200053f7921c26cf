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

// running is one command that a person runs once.
type running struct {
	rt      *Runtime
	app     volume.App
	n       int // of the app's; its name is run.<n>
	release int
	since   time.Time
	log     *slog.Logger

	ctx     context.Context // ends when it is to stop
	cancel  context.CancelCauseFunc
	unwatch func() // ends the look-out for the app's end
	letGo   func() // of its build
	proc    engine.Process
}

func (r *running) name() string { return fmt.Sprintf("run.%d", r.n) }

// over counts it out. It has ended, or never began.
func (r *running) over() {
	r.unwatch()
	r.cancel(nil)
	r.letGo()
	r.rt.oneoffs.leave(r)
	if r.proc != nil {
		r.app.Ring() // ps has one less to show
	}
}

// oneoffs are the commands that run once, of all apps, and the builds they run in. The zero value is
// ready.
type oneoffs struct {
	mu     sync.Mutex
	closed bool
	all    []*running     // oldest first
	last   map[string]int // the highest number given, by app
	builds map[string]int // how many run in it, by app/build
	wait   sync.WaitGroup
}

var (
	errStopping  = errors.New("the server is stopping")
	errDestroyed = errors.New("the app was destroyed")
)

// enter gives a command of the app its number, until leave.
func (o *oneoffs) enter(ctx context.Context, app volume.App, release int) (*running, error) {
	born, err := app.Identity()
	if err != nil {
		return nil, err
	}
	r := &running{app: app, release: release, since: time.Now().UTC()}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		r.cancel(errStopping)
		return nil, errStopping
	}
	if o.last == nil {
		o.last = map[string]int{}
	}
	r.n = o.last[app.Name] + 1
	if numbers := outputs(app); len(numbers) > 0 { // of an earlier life too
		r.n = max(r.n, numbers[len(numbers)-1]+1)
	}
	o.last[app.Name] = r.n
	o.all = append(o.all, r)
	o.wait.Add(1)
	look := func(name string) {
		if name != app.Name {
			return
		}
		if id, err := app.Identity(); err == nil && id != born {
			r.cancel(errDestroyed)
		}
	}
	r.unwatch = app.Volume().Watch(look)
	look(app.Name) // what happened before anybody watched
	return r, nil
}

// started says what r's process is.
func (o *oneoffs) started(r *running, p engine.Process) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.proc = p
}

func (o *oneoffs) leave(r *running) {
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

// close stops all of them, and lets none begin any more. The channel closes when none is left.
func (o *oneoffs) close() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, r := range o.all {
		r.cancel(errStopping)
	}
	none := make(chan struct{})
	go func() {
		o.wait.Wait()
		close(none)
	}()
	return none
}

// onces are the app's commands that run now, for ps, oldest first.
func (rt *Runtime) onces(app string) (list []volume.Process) {
	o := &rt.oneoffs
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all {
		if r.app.Name == app && r.proc != nil {
			list = append(list, volume.Process{
				Type: "run", Index: r.n, Release: r.release, State: string(Running), PID: r.proc.PID(), Since: r.since, Limits: r.proc.Limits(),
			})
		}
	}
	return list
}

// hold says that something runs in a build, which must not be removed until release is called.
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

// held says whether something that a person runs once runs in the build, be it live or not.
func (rt *Runtime) held(app, build string) bool {
	o := &rt.oneoffs
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.builds[app+"/"+build] > 0
}
