package runtime

import (
	"context"
	"io"
	"path/filepath"
	"sync"
	"time"

	"paas/runtime/health"
	"paas/runtime/logs"
	"paas/volume"
)

// instance is one release running: its web process, and what becomes of it when that dies.
type instance struct {
	home    *home
	n       int
	release volume.Release
	built   volume.Built
	output  tee

	mu      sync.Mutex
	proc    Process // the current one; nil before the first start
	stopped bool

	process volume.Process // for ps; on the app's goroutine, as deaths
	deaths  int            // in a row
}

func newInstance(h *home, n int) *instance {
	i := &instance{home: h, n: n}
	i.process = volume.Process{Type: "web", Index: 1, Release: n, State: string(Starting), Since: time.Now().UTC()}
	i.output.file = &logs.File{Path: filepath.Join(h.app.Logs(), "web.1.log")}
	return i
}

func (i *instance) current() Process {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.proc
}

func (i *instance) addr() string {
	if p := i.current(); p != nil {
		return p.Addr()
	}
	return ""
}

// start starts the process and waits until it is healthy.
func (i *instance) start(ctx context.Context) error {
	if i.isStopped() { // before anything is started: the old version must not run beside the new one
		return context.Canceled
	}
	app := i.home.app
	tree := app.BuildTree(i.release.Build)
	check, err := health.ReadCheck(tree)
	if err != nil {
		return err
	}
	check.Boot = i.home.rt.Boot
	p, err := i.home.rt.start(Spec{
		App: app.Name, Release: i.n, Type: "web", Index: 1, Tree: tree, Data: app.Data(),
		Built: i.built, Config: i.release.Settings.Config, Out: &i.output,
	})
	if err != nil {
		return err
	}
	i.mu.Lock()
	i.proc = p
	stopped := i.stopped
	i.mu.Unlock()
	if stopped { // stop came while the process was being started, and missed it
		p.Stop(0)
		i.output.file.Close()
		return context.Canceled
	}
	if err := check.Await(ctx, p); err != nil {
		p.Stop(time.Second)
		return err
	}
	return nil
}

// serving notes, on the app's goroutine, that the process runs and gets the traffic.
func (i *instance) serving(ctx context.Context) {
	i.process = volume.Process{
		Type: "web", Index: 1, Release: i.n, State: string(Running), PID: i.current().PID(),
		Since: time.Now().UTC(), Restarts: i.process.Restarts,
	}
	i.home.saveProcesses()
	i.watch(ctx)
}

// stop ends the process for good. It blocks for up to grace.
func (i *instance) stop(grace time.Duration) {
	i.mu.Lock()
	i.stopped = true
	p := i.proc
	i.mu.Unlock()
	if p != nil {
		p.Stop(grace)
	}
	i.output.file.Close()
}

func (i *instance) isStopped() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stopped
}

// ended says whether the current process has come to its end.
func (i *instance) ended() bool {
	select {
	case <-i.current().Done():
		return true
	default:
		return false
	}
}

// whenEnded calls f, on a goroutine of its own, when the current process has come to its end.
func (i *instance) whenEnded(f func()) {
	p := i.current()
	go func() {
		<-p.Done()
		f()
	}()
}

// watch waits on a goroutine for the process to die, and has it started anew.
func (i *instance) watch(ctx context.Context) {
	h, p := i.home, i.current()
	i.whenEnded(func() {
		h.post(func() {
			if h.live == i && ctx.Err() == nil {
				i.died(ctx, p.Err())
			}
		})
	})
}

// died deals with the end, or the failed start, of the live process.
func (i *instance) died(ctx context.Context, err error) {
	h := i.home
	if i.process.State == string(Running) && time.Since(i.process.Since) > stableAfter {
		i.deaths = 0
	}
	i.deaths++
	condition, reason := Starting, "exited with status 0"
	if i.deaths >= downAfter {
		condition = Down
	}
	if err != nil {
		reason = err.Error()
	}
	delay := backoff(i.deaths)
	i.process = volume.Process{
		Type: "web", Index: 1, Release: i.n, State: "crashed", Reason: reason,
		Since: time.Now().UTC(), Restarts: i.process.Restarts + 1,
	}
	h.rt.Front.Route(h.app.Name, nil, condition)
	h.saveProcesses()
	h.log.Warn("web died; starting it anew", "release", i.n, "err", reason, "in", delay)
	i.revive(ctx, delay)
}

// revive starts the live release's process after delay, on a goroutine of its own.
func (i *instance) revive(ctx context.Context, delay time.Duration) {
	h := i.home
	go func() {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		case <-h.ended:
			return
		}
		err := i.load()
		if err == nil {
			err = i.start(ctx)
		}
		h.post(func() {
			switch {
			case h.live != i || ctx.Err() != nil:
				i.stop(0)
			case err != nil:
				i.died(ctx, err)
			default:
				h.rt.Front.Route(h.app.Name, []string{i.addr()}, Running)
				i.serving(ctx)
			}
		})
	}()
}

// load reads the release, for an instance that was only known by its number.
func (i *instance) load() (err error) {
	if i.release.N != 0 {
		return nil
	}
	r, err := i.home.app.Release(i.n)
	if err != nil {
		return err
	}
	if i.built, err = i.home.app.Built(r.Build); err != nil {
		return err
	}
	i.release = r
	return nil
}

// tee is where a process's output goes: always to its log, and while it boots to the pusher too.
type tee struct {
	mu    sync.Mutex
	file  *logs.File
	shown io.Writer
}

// show adds w, or with nil ends showing; nothing is written to the w before once it returns.
func (o *tee) show(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shown = w
}

func (o *tee) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.shown != nil {
		o.shown.Write(p)
	}
	o.mu.Unlock()
	return o.file.Write(p)
}
