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

// Once is a one-off command: a person runs it in the live release's build, with the environment
// that its processes have.
type Once struct {
	App  string
	Argv []string
	By   string // name of the person, for the log

	In       io.Reader // standard input; a Read may still be blocked when it is over; nil: empty
	Out, Err io.Writer // each called from one goroutine; Err may be nil: it goes to Out
	Terminal *terminal.Terminal
	Signals  <-chan syscall.Signal
}

// RunOnce runs o until it ends and returns the status to exit with: the command's own, 128 and the
// signal that ended it, 127 if there is no such command, or 126 if it cannot be run. The command is
// stopped when ctx ends, the server stops or the app is destroyed. An error is for the person, and
// a status comes with it too. Neither the output nor the arguments are logged: they may be secrets.
func (rt *Runtime) RunOnce(ctx context.Context, o Once) (status int, err error) {
	r, status, err := rt.startOnce(ctx, o, false)
	if err != nil {
		return status, err
	}
	defer r.over()
	return r.wait()
}

// Detach starts o and returns its name, which its output has in the app's logs. The command goes on
// until it ends, the server is stopped or the app is destroyed; if the engine outlives the server,
// the next server takes it up. The streams of o are not used.
func (rt *Runtime) Detach(o Once) (name string, status int, err error) {
	o.In, o.Out, o.Err, o.Terminal, o.Signals = nil, nil, nil, nil, nil
	r, status, err := rt.startOnce(context.Background(), o, true)
	if err != nil {
		return "", status, err
	}
	go r.attend()
	return r.name(), 0, nil
}

// attend waits for the end of a detached command and records it, unless the next server does.
func (r *oneOff) attend() {
	defer r.over()
	status, err := r.wait()
	if errors.Is(err, errLeft) || !r.rt.handover.stays(r.ctx) {
		return
	}
	last := ending(status)
	if err != nil {
		last = err.Error()
	}
	out := logs.File{Path: outputFile(r.app, r.n)}
	out.Note("%s", last)
	out.Close()
	r.rt.forget(r.detached)
}

// startOnce starts o and counts it.
func (rt *Runtime) startOnce(
	ctx context.Context, o Once, detach bool,
) (r *oneOff, status int, err error) {
	app, err := rt.Volume.App(o.App)
	if err != nil {
		return nil, 1, err
	}
	release, built, letGo, err := rt.takeLive(app)
	if err != nil {
		return nil, 1, err
	}
	tree, _, image, err := filesOf(app, release)
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
	job := engine.Job{
		App: app.Name, Release: release.N, Type: formation.Run, Index: r.n, Image: image,
		Argv: o.Argv, Env: rt.env(app, release, built, tree, false),
		Limits: wanted.LimitsOf(formation.Run), Grace: rt.grace(),
	}
	if detach {
		r.prune()
		r.detached = detached(r.name(), note{App: r.born})
		job.Detached = r.detached
	}
	job.Out, job.Err, job.In = o.Out, o.Err, o.In
	if o.Terminal != nil {
		size := o.Terminal.Size
		job.Terminal = &engine.Terminal{Type: o.Terminal.Type, Columns: size.Columns, Rows: size.Rows}
	}
	p, err := rt.Engine.Start(r.ctx, job)
	if err != nil {
		r.over()
		return nil, exitStatus(err), err
	}
	rt.oneoffs.started(r, p)
	if o.Signals != nil || o.Terminal != nil {
		go o.forward(p)
	}
	app.Ring() // it is listed from now on
	program := say.Program(o.Argv[0])
	r.log.Info("run", "by", o.By, "program", program, "release", release.N, "pid", p.PID())
	return r, 0, nil
}

// takeLive returns the app's live release. Its build is kept until letGo is called.
func (rt *Runtime) takeLive(
	app volume.App,
) (r volume.Release, built volume.Built, letGo func(), err error) {
	n := app.Live()
	if n == 0 {
		return r, built, nil, fmt.Errorf("nothing of %s is live yet; git push deploys it", app.Name)
	}
	if r, err = app.Release(n); err != nil {
		return r, built, nil, err
	}
	if r.OnlyFiles() {
		return r, built, nil, &volume.Problem{
			Err:    fmt.Errorf("%v of %s is in mode worktree: what runs it is not started from here", r, app.Name),
			Remedy: volume.Remedy{Do: volume.LetServerRun, App: app.Name},
		}
	}
	letGo = rt.hold(app.Name, r.Build)
	if built, err = app.Built(r.Build); err != nil {
		letGo()
		return r, built, nil, &volume.Problem{
			Err: fmt.Errorf("the build of %v is not there", r), Remedy: volume.Remedy{Do: volume.Rebuild, App: app.Name},
		}
	}
	return r, built, letGo, nil
}

// wait blocks until the command has ended, and returns the status to exit with.
func (r *oneOff) wait() (status int, err error) {
	select {
	case <-r.proc.Done():
	case <-r.ctx.Done():
		cause := context.Cause(r.ctx)
		if errors.Is(cause, errLeft) {
			return 1, cause
		}
		r.proc.Stop(r.rt.grace())
		if !errors.Is(cause, context.Canceled) {
			return 1, cause
		}
	}
	exit := r.proc.Exit()
	if exit.Reason != "" { // the status does not say it all
		return exit.Status(), exit
	}
	return exit.Status(), nil
}

// exitStatus is the status of a shell for how a process ended, or for why it did not start.
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

// forward passes the person's signals and the terminal's new sizes to p until it ends.
func (o Once) forward(p engine.Process) {
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

// runToEnd runs a job to its end and returns how it ended. When ctx ends, it stops the job.
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

// ending describes a status.
func ending(status int) string {
	if status > 128 {
		number := syscall.Signal(status - 128)
		return fmt.Sprintf("ended by signal %d (%v), status %d", int(number), number, status)
	}
	return fmt.Sprintf("exited with status %d", status)
}
