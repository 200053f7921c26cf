package enginetest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"paas/engine"
	"paas/engine/keep"
	"paas/inproc"
	"paas/volume"
)

// Memory is an engine whose processes are values in memory, which end when a test says so. The zero
// value is ready.
type Memory struct {
	keep.Fleet

	// Begin is called with each process before anybody else knows of it. It may change or end the
	// process; an error keeps it from starting. nil: the process runs its script, see run.
	Begin func(*Process) error

	// Refuse returns why a unit cannot be wanted; nil: every unit can.
	Refuse func(engine.Unit) error

	// Make makes builds; nil: each succeeds and has one process type, web.
	Make func(ctx context.Context, job engine.BuildJob) (volume.Built, error)

	mu    sync.Mutex
	shut  bool
	all   []*Process
	ports int
	once  sync.Once
}

// Process is a process of [Memory].
type Process struct {
	Name string // "v1 web.1 node server.js"; of Exec "v1 check.1 probe"
	engine.Job
	Linger <-chan struct{} // Stop has no effect on it before this closes; nil: it ends at once

	addr   string
	number int
	deaf   bool        // it ignores SIGTERM
	traps  map[int]int // exit status, by signal
	leave  sync.Once
	finish sync.Once
	exited chan struct{}
	done   chan struct{}
	exit   engine.Exit
}

func (m *Memory) fleet() *keep.Fleet {
	m.once.Do(func() { m.Fleet.Start = m.startUnit })
	return &m.Fleet
}

// Want implements [engine.Fleet].
func (m *Memory) Want(ctx context.Context, unit engine.Unit) error {
	if m.Refuse != nil {
		if err := m.Refuse(unit); err != nil {
			return err
		}
	}
	return m.fleet().Want(ctx, unit)
}

func (m *Memory) startUnit(unit engine.Unit, index, _ int, out io.Writer) (keep.Process, error) {
	return m.begin(unit.Listens, &Process{Job: engine.Job{
		App: unit.Name.App, Release: unit.Name.Release, Type: unit.Name.Type, Index: index,
		Image: unit.Image, Argv: unit.Argv, Env: unit.Env, Limits: unit.Limits, Out: out,
	}})
}

// Start implements [engine.Engine].
func (m *Memory) Start(_ context.Context, job engine.Job) (engine.Process, error) {
	if job.Detached != nil {
		return m.Detach(job, m.startOnce)
	}
	return m.startOnce(job)
}

func (m *Memory) startOnce(job engine.Job) (engine.Process, error) {
	p, err := m.begin(false, &Process{Job: job})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (m *Memory) begin(listens bool, p *Process) (*Process, error) {
	p.Name = fmt.Sprintf("v%d %s.%d %s", p.Release, p.Type, p.Index, strings.Join(p.Argv, " "))
	p.exited, p.done = make(chan struct{}), make(chan struct{})
	m.mu.Lock()
	m.ports++
	p.number = m.ports
	m.mu.Unlock()
	if listens {
		p.addr = fmt.Sprintf("127.0.0.1:%d", p.number)
	}
	begin := m.Begin
	if begin == nil {
		begin = (*Process).run
	}
	if err := begin(p); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shut {
		p.End(engine.Exit{Signal: int(syscall.SIGKILL)})
		return nil, engine.StartError{Status: 1, Reason: "the engine has ended"}
	}
	m.all = append(m.all, p)
	return p, nil
}

// Processes are those that were started so far, in order.
func (m *Memory) Processes() []*Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

// Open implements [engine.Engine]. Units that were wanted before are among Units.
func (m *Memory) Open() error { return nil }

// Close implements [engine.Engine].
func (m *Memory) Close() error {
	m.Fleet.Close()
	m.mu.Lock()
	m.shut = true
	m.mu.Unlock()
	for _, p := range m.Processes() {
		p.End(engine.Exit{Signal: int(syscall.SIGKILL)})
	}
	return nil
}

// Adopt implements [engine.Engine].
func (m *Memory) Adopt(string) []string { return nil }

// Isolation implements [engine.Engine].
func (m *Memory) Isolation() engine.Isolation { return engine.Isolation{By: "nothing runs"} }

// Build implements [engine.Engine].
func (m *Memory) Build(ctx context.Context, job engine.BuildJob) (volume.Built, error) {
	if m.Make == nil {
		return volume.Built{Processes: map[string]string{"web": "x"}}, nil
	}
	return m.Make(ctx, job)
}

// RunBuild is a Make that runs the shell script in the config var BUILD.
func (m *Memory) RunBuild(ctx context.Context, job engine.BuildJob) (built volume.Built, err error) {
	p, err := m.Start(ctx, engine.Job{Argv: shell(job.Config["BUILD"]), Out: job.Out})
	if err != nil {
		return built, err
	}
	select {
	case <-p.Done():
		return volume.Built{Processes: map[string]string{"web": "x"}}, p.Exit().Err()
	case <-ctx.Done():
		p.Stop(0)
		return built, context.Cause(ctx)
	}
}

// Sweep implements [engine.Engine].
func (m *Memory) Sweep(context.Context, string) error { return nil }

// Exec implements [engine.Fleet].
func (m *Memory) Exec(ctx context.Context, at engine.Place, c engine.Command) (string, engine.Exit, error) {
	beside, unit, err := m.Process(at)
	if err != nil {
		return "", engine.Exit{}, err
	}
	var out strings.Builder
	p, err := m.begin(false, &Process{Job: engine.Job{
		App: unit.Name.App, Release: unit.Name.Release, Type: "check", Index: at.Index, Image: unit.Image,
		Argv: c.Argv, Env: beside.(*Process).Env, Out: &out,
	}})
	if err != nil {
		return "", engine.Exit{}, err
	}
	select {
	case <-p.done:
		text := out.String()
		return text[max(0, len(text)-c.Max):], p.exit, nil
	case <-ctx.Done():
		p.Stop(0)
		return "", engine.Exit{}, context.Cause(ctx)
	}
}

// Dial implements [engine.Fleet]. What answers closes the connection at once.
func (m *Memory) Dial(ctx context.Context, at engine.Place, port int) (net.Conn, error) {
	p, _, err := m.Process(at)
	switch {
	case err != nil:
		return nil, err
	case port != 0 && p.Addr() != fmt.Sprint("127.0.0.1:", port):
		return nil, engine.ErrForeign
	case p.Addr() == "" || closed(p.Exited()):
		return nil, syscall.ECONNREFUSED
	}
	l := inproc.New()
	go func() {
		if there, err := l.Accept(); err == nil {
			there.Close()
		}
	}()
	return l.Dial(ctx)
}

// Listening implements [engine.Fleet]. A process listens on its own port, if it has one.
func (m *Memory) Listening(_ context.Context, at engine.Place) []string {
	p, _, err := m.Process(at)
	if err != nil || p.Addr() == "" {
		return nil
	}
	return []string{p.(*Process).port()}
}

func (p *Process) PID() int                { return p.number }
func (p *Process) Addr() string            { return p.addr }
func (p *Process) Limits() volume.Limits   { return p.Job.Limits }
func (p *Process) Exited() <-chan struct{} { return p.exited }
func (p *Process) Done() <-chan struct{}   { return p.done }
func (p *Process) Exit() engine.Exit       { return p.exit }
func (p *Process) Again() (string, bool)   { return "", false }
func (p *Process) Resize(_, _ uint16)      {}

func (p *Process) port() string { return strings.TrimPrefix(p.addr, "127.0.0.1:") }

// Signal ends the process.
func (p *Process) Signal(number int) {
	if status, trapped := p.traps[number]; trapped {
		p.End(engine.Exit{Code: status})
	}
	p.End(engine.Exit{Signal: number})
}

// Stop implements [engine.Process].
func (p *Process) Stop(grace time.Duration) {
	if p.Linger != nil {
		select {
		case <-p.Linger:
		case <-p.done:
		}
	}
	if p.deaf {
		select {
		case <-time.After(grace):
			p.End(engine.Exit{Signal: int(syscall.SIGKILL)})
		case <-p.done:
		}
	}
	p.End(engine.Exit{Signal: int(syscall.SIGTERM)})
}

// Leave ends the process itself, and it is not known yet how: End follows.
func (p *Process) Leave() { p.leave.Do(func() { close(p.exited) }) }

// End ends the process with exit, unless it has ended.
func (p *Process) End(exit engine.Exit) {
	p.finish.Do(func() {
		p.exit = exit
		p.Leave()
		close(p.done)
	})
}

// Ended reports whether nothing of the process is left.
func (p *Process) Ended() bool { return closed(p.done) }

// Left reports whether the process itself has ended.
func (p *Process) Left() bool { return closed(p.exited) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// run runs a script, as far as the suite needs the shell: echo, sleep, exit and kill -KILL $$, after
// a trap that ignores TERM or exits at USR1.
func (p *Process) run() error {
	if p.Argv[0] != "/bin/sh" {
		return engine.StartError{Status: 127, Reason: p.Type + ": " + p.Argv[0] + ": not found in PATH"}
	}
	env := engine.Expand(p.Env, "/tree", "/data", "/cache", "/toolchains", p.port())
	switch script := p.Argv[2]; {
	case strings.HasPrefix(script, "trap '' TERM;"):
		p.deaf = true
	case strings.HasPrefix(script, "trap 'exit 5' USR1;"):
		p.traps = map[int]int{int(syscall.SIGUSR1): 5}
	}
	go func() {
		for _, statement := range strings.Split(p.Argv[2], ";") {
			word, rest, _ := strings.Cut(strings.TrimSpace(statement), " ")
			switch word {
			case "echo":
				fmt.Fprintln(p.Out, os.Expand(rest, func(name string) string { return env[name] }))
			case "sleep":
				seconds, _, _ := strings.Cut(rest, " ")
				d, _ := time.ParseDuration(seconds + "s")
				select {
				case <-time.After(d):
				case <-p.exited:
					return
				}
			case "exit":
				exit := engine.Exit{}
				fmt.Sscan(rest, &exit.Code)
				p.End(exit)
			case "kill":
				p.End(engine.Exit{Signal: int(syscall.SIGKILL)})
			}
		}
		p.End(engine.Exit{})
	}()
	return nil
}
