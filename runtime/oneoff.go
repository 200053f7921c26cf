package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"paas/engine"
	"paas/formation"
	"paas/logs"
	"paas/say"
	"paas/terminal"
	"paas/volume"
)

// Once is a command that a person runs once, in the live release's build, with its config vars and
// all else that its processes have.
type Once struct {
	App  string
	Argv []string
	By   string // who runs it, for the audit log

	In       io.Reader // standard input; a Read may still be blocked when it is over; nil: empty
	Out, Err io.Writer // each called from one goroutine; Err may be nil: it goes to Out
	Terminal *terminal.Terminal
	Signals  <-chan syscall.Signal
}

// RunOnce runs o until it ends, and returns the status to exit with: its own, 128 and the signal
// where one ended it, 127 where there is no such command and 126 where it cannot be run. As ctx
// ends, the server stops or the app is destroyed it is stopped. An error is what there is to say;
// a status comes with it. No output of o's goes to a log, nor do its arguments: they may be secrets.
func (rt *Runtime) RunOnce(ctx context.Context, o Once) (status int, err error) {
	r, status, err := rt.startOnce(ctx, o, nil)
	if err != nil {
		return status, err
	}
	defer r.over()
	return r.wait()
}

// Detach starts o and returns its name, by which its output is found in the app's logs. It runs on
// until it ends, the server stops or the app is destroyed. o's streams are not used.
func (rt *Runtime) Detach(o Once) (name string, status int, err error) {
	out := &logs.File{}
	o.In, o.Out, o.Err, o.Terminal, o.Signals = nil, out, nil, nil, nil
	r, status, err := rt.startOnce(context.Background(), o, out)
	if err != nil {
		return "", status, err
	}
	go func() {
		defer r.over()
		status, err := r.wait()
		last := ending(status)
		if err != nil {
			last = err.Error()
		}
		out.Note("%s", last)
		out.Close()
	}()
	return r.name(), 0, nil
}

// startOnce starts o and counts it in, unless an error says why not. output, where it is not nil, is
// given its place among the app's logs.
func (rt *Runtime) startOnce(ctx context.Context, o Once, output *logs.File) (r *running, status int, err error) {
	app, err := rt.Volume.App(o.App)
	if err != nil {
		return nil, 1, err
	}
	release, built, letGo, err := rt.takeLive(app)
	if err != nil {
		return nil, 1, err
	}
	tree, err := app.ReleaseTree(release)
	if err != nil {
		letGo()
		return nil, 1, err
	}
	wanted, err := app.Wanted()
	if volume.IsDamage(err) { // what was wanted when the release was made
		wanted, err = release.Wanted, nil
	}
	if err != nil {
		letGo()
		return nil, 1, err
	}
	r, err = rt.oneoffs.enter(ctx, app, release.N)
	if err != nil {
		letGo()
		return nil, 1, err
	}
	r.rt, r.letGo, r.log = rt, letGo, rt.Log.With("app", app.Name, "process", r.name())
	if output != nil {
		output.Path = outputFile(app, r.n)
		r.prune()
	}
	job := jobOf(rt, app, release, built, tree, formation.Run, r.n, o.Argv, wanted)
	job.Out, job.Err, job.In = o.Out, o.Err, o.In
	if o.Terminal != nil {
		job.Terminal = &engine.Terminal{Type: o.Terminal.Type, Columns: o.Terminal.Size.Columns, Rows: o.Terminal.Size.Rows}
	}
	p, err := rt.Engine.Start(r.ctx, job)
	if err != nil {
		r.over()
		return nil, exitStatus(err), err
	}
	rt.oneoffs.started(r, p)
	if o.Signals != nil || o.Terminal != nil {
		go o.attend(p)
	}
	app.Ring() // ps has one more to show
	program := say.Plain(o.Argv[0], 100)
	if err := rt.Volume.Record(volume.RoleApp, volume.Event{By: o.By, Did: "run", App: app.Name, Note: r.name() + " " + program}); err != nil {
		r.log.Error("run not recorded", "err", err)
	}
	r.log.Info("run", "by", o.By, "program", program, "release", release.N, "pid", p.PID())
	return r, 0, nil
}

// takeLive is the app's live release, and keeps its build from being removed until letGo.
func (rt *Runtime) takeLive(app volume.App) (r volume.Release, built volume.Built, letGo func(), err error) {
	n := app.Live()
	if n == 0 {
		return r, built, nil, fmt.Errorf("nothing of %s is live yet; git push deploys it", app.Name)
	}
	if r, err = app.Release(n); err != nil {
		return r, built, nil, err
	}
	if r.Settings.Mode == volume.InPlace {
		return r, built, nil, fmt.Errorf("%v of %s is in watch mode: what runs it is not started from here; run the command where the app runs, or settings:set %s mode=release, then push",
			r, app.Name, app.Name)
	}
	letGo = rt.hold(app.Name, r.Build)
	if built, err = app.Built(r.Build); err != nil {
		letGo()
		return r, built, nil, fmt.Errorf("the build of %v is not there; ps:rebuild %s makes it anew", r, app.Name)
	}
	return r, built, letGo, nil
}

// wait blocks until nothing of it is left.
func (r *running) wait() (status int, err error) {
	select {
	case <-r.proc.Done():
	case <-r.ctx.Done():
		r.proc.Stop(r.rt.grace())
		if cause := context.Cause(r.ctx); !errors.Is(cause, context.Canceled) {
			return 1, cause
		}
	}
	exit := r.proc.Exit()
	if exit.Reason != "" { // there is more to say than the status does
		return exit.Status(), exit
	}
	return exit.Status(), nil
}

// exitStatus is what a shell makes of how a process ended, or of why it did not start.
func exitStatus(err error) int {
	if exit, ok := errors.AsType[engine.Exit](err); ok {
		return exit.Status()
	}
	if e, ok := errors.AsType[engine.StartError](err); ok {
		return e.Status
	}
	if err != nil {
		return 1
	}
	return 0
}

// attend passes on to p what the person does, until it ends.
func (o Once) attend(p engine.Process) {
	var sizes <-chan terminal.Size
	if o.Terminal != nil {
		sizes = o.Terminal.Resized
	}
	signals := o.Signals
	for {
		select {
		case <-p.Done():
			return
		case size, open := <-sizes:
			if !open {
				sizes = nil
				continue
			}
			p.Resize(size.Columns, size.Rows)
		case sig, open := <-signals:
			if !open {
				signals = nil
				continue
			}
			p.Signal(int(sig))
		}
	}
}

// runToEnd runs a job that ends by itself, and returns how it did; when ctx ends it is ended.
func (rt *Runtime) runToEnd(ctx context.Context, job engine.Job, grace time.Duration) error {
	defer rt.hold(job.App, job.Image.Build)()
	p, err := rt.Engine.Start(ctx, job)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
		return p.Exit().Err()
	case <-ctx.Done():
		p.Stop(grace)
		return context.Cause(ctx)
	}
}

// ending is a status in words.
func ending(status int) string {
	if status > 128 {
		return fmt.Sprintf("ended by signal %d (%v), status %d", status-128, syscall.Signal(status-128), status)
	}
	return fmt.Sprintf("exited with status %d", status)
}
