package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"paas/builder/cmdline"
	"paas/engine"
	"paas/engine/keep"
	"paas/engine/local/child"
	"paas/engine/local/limits"
	"paas/engine/local/ports"
	"paas/terminal"
	"paas/volume"
)

// process is a [child.Child] that runs as a process of an app.
type process struct {
	*child.Child
	app     string
	limits  volume.Limits // the limits in force
	owner   *ports.Owner  // tells whether a listener is the process's own
	claim   *claim        // to its port; nil: it has none
	try     int           // number of ports tried so far, this one included
	signals chan syscall.Signal
	sizes   terminal.Sizes
}

// order is a process to start.
type order struct {
	engine.Job
	once    bool // it belongs to no unit; it may have signals and a terminal
	listens bool // it gets a port of its own
	port    int  // $PORT of the process that it runs beside; 0: none
	try     int
}

// Start implements [engine.Engine].
func (l *Local) Start(_ context.Context, job engine.Job) (engine.Process, error) {
	if job.Detached != nil {
		return l.Detach(job, l.startOnce)
	}
	return l.startOnce(job)
}

func (l *Local) startOnce(job engine.Job) (engine.Process, error) {
	p, err := l.start(order{Job: job, once: true})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// startUnit starts a process of a unit.
func (l *Local) startUnit(unit engine.Unit, index, try int, out io.Writer) (keep.Process, error) {
	p, err := l.start(order{try: try, listens: unit.Listens, Job: engine.Job{
		App: unit.Name.App, Release: unit.Name.Release, Type: unit.Name.Type, Index: index,
		Image: unit.Image, Argv: unit.Argv, Env: unit.Env, Limits: unit.Limits, Out: out,
	}})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// start starts a process. If it returns an error, an [engine.StartError], nothing runs.
func (l *Local) start(o order) (*process, error) {
	p, err := l.launch(o)
	if err == nil {
		return p, nil
	}
	status := 1
	switch { // POSIX.1-2024, Shell Command Language, 2.8.2
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC):
		status = 126
	case errors.Is(err, fs.ErrNotExist):
		status = 127
	}
	return nil, engine.StartError{Status: status, Reason: err.Error()}
}

func (l *Local) launch(o order) (*process, error) {
	at, err := l.Layout(o.Image)
	if err != nil {
		return nil, err
	}
	p := &process{app: o.App, try: o.try}
	port := o.port
	if o.listens {
		if p.claim, err = l.takePort(o.App, tryPort); err != nil {
			return nil, err
		}
		port = p.claim.port
	}
	jail, err := l.confineProcess(o.App, at)
	if err != nil {
		l.freePort(p.claim)
		return nil, fmt.Errorf("%s: %w", o.Type, err)
	}
	if l.firewall != nil && p.claim != nil {
		l.firewall.Allow(jail.uid, port)
		leave := jail.leave
		jail.leave = func() {
			l.firewall.Forbid(jail.uid, port)
			leave()
		}
	}
	env := engine.Expand(o.Env, at.Tree, at.Data, at.Cache, at.Toolchains, strconv.Itoa(port))
	c := child.Command{
		Name: fmt.Sprintf("%s.v%d.%s.%d", o.App, o.Release, o.Type, o.Index),
		Argv: o.Argv,
		Dir:  at.Tree,
		Env:  cmdline.With(env, jail.env),
		Out:  o.Out, Err: o.Err, In: o.In,
		Under: jail.under,
		Gone: func() {
			jail.leave()
			l.freePort(p.claim)
		},
	}
	if o.once {
		p.attend(&c, o.Terminal)
	}
	inForce, err := l.limit(&c, limits.Limits(o.Limits))
	if err != nil {
		c.Gone()
		return nil, fmt.Errorf("%s: %w", o.Type, err)
	}
	if p.Child, err = l.keeper.Start(c); err != nil {
		c.Gone()
		return nil, fmt.Errorf("%s: %w", o.Type, err)
	}
	p.limits, p.owner = volume.Limits(inForce), &ports.Owner{UID: jail.uid, Holds: p.Holds}
	return p, nil
}

// execGrace is the time between SIGTERM and SIGKILL for a command of Exec that is stopped.
const execGrace = time.Second

// attend lets Signal and Resize reach c.
func (p *process) attend(c *child.Command, t *engine.Terminal) {
	p.signals = make(chan syscall.Signal, 8)
	c.Signals = p.signals
	if t != nil {
		p.sizes = terminal.NewSizes()
		size := terminal.Size{Columns: t.Columns, Rows: t.Rows}
		c.Terminal = &terminal.Terminal{Type: t.Type, Size: size, Resized: p.sizes}
	}
}

// Signal implements [engine.Process].
func (p *process) Signal(number int) {
	select {
	case p.signals <- syscall.Signal(number):
	case <-p.Done():
	}
}

// Resize implements [engine.Process]. Only one goroutine may call it.
func (p *process) Resize(columns, rows uint16) {
	if p.sizes != nil {
		p.sizes.Put(terminal.Size{Columns: columns, Rows: rows})
	}
}

// Limits returns the limits in force.
func (p *process) Limits() volume.Limits { return p.limits }

// Exit returns how the process ended. It is valid after Done.
func (p *process) Exit() engine.Exit {
	if exit, ok := p.claim.exit(p.try); ok {
		return exit
	}
	err := p.Err()
	e := exitOf(err)
	if _, over := errors.AsType[child.Overuse](err); over {
		e.Remedy = volume.Remedy{Do: volume.RaiseMemory, App: p.app}
	}
	return e
}

// exitOf converts the error of a child.
func exitOf(err error) (e engine.Exit) {
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return engine.Exit{}
	case !ok:
		return engine.Exit{Reason: err.Error()}
	}
	e.Code = exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Code, e.Signal = 0, int(status.Signal())
	}
	if more := err.Error()[len(exit.Error()):]; more != "" { // ": used 32 MiB of memory, ..."
		e.Reason = more[len(": "):]
	}
	return e
}

// Exec implements [engine.Fleet].
func (l *Local) Exec(
	ctx context.Context, at engine.Place, c engine.Command,
) (output string, exit engine.Exit, err error) {
	beside, unit, err := l.process(at)
	if err != nil {
		return "", engine.Exit{}, err
	}
	out := &lastBytes{most: c.Max}
	p, err := l.start(order{port: beside.claim.number(), Job: engine.Job{
		App: unit.Name.App, Release: unit.Name.Release, Type: "check", Index: at.Index,
		Image: unit.Image, Argv: c.Argv, Env: unit.Env, Limits: unit.Limits, Out: out,
	}})
	if err != nil {
		return "", engine.Exit{}, err
	}
	select {
	case <-p.Done():
		return out.String(), p.Exit(), nil
	case <-ctx.Done():
		p.Stop(execGrace)
		return "", engine.Exit{}, context.Cause(ctx)
	}
}

// lastBytes keeps the last bytes that are written.
type lastBytes struct {
	most int
	kept []byte
}

func (b *lastBytes) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p...)
	if over := len(b.kept) - b.most; over > b.most {
		b.kept = append([]byte(nil), b.kept[over:]...)
	}
	return len(p), nil
}

func (b *lastBytes) String() string { return string(b.kept[max(0, len(b.kept)-b.most):]) }
