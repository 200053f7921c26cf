package keeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Keeper keeps one server running. Set the fields, then call Run.
type Keeper struct {
	// Argv is the command line of a server, with the program's name. The program is this one. A reload
	// starts what is at its path then.
	Argv []string

	// Root is the folder that all servers are about. A server whose settings say another one must refuse.
	Root string

	Locks []*os.File // every server has them open as long as it lives, beside the keeper

	// Services are what the keeper does for each server: they are called with one end of a connection
	// whose other end the server gets from [Parent.Conn]. They block until that end has closed.
	Services map[string]func(conn *net.UnixConn)

	StartTimeout time.Duration // for a server to be prepared, and then to serve; default 1 min
	FreeTimeout  time.Duration // for a server to finish what changes something; default 1 h
	LeaveTimeout time.Duration // for a server that was replaced to exit; default 1 h

	OnTerminal bool // SIGHUP ends the server if the terminal of this process has gone

	Log *slog.Logger

	once   sync.Once
	thread chan func()

	path    string // of the program, when the keeper was started
	reloads chan reload
	hangups chan os.Signal      // holds one: one that comes during a reload asks for another
	held    map[string]*os.File // for the next server, by name
	leaving []*server           // they finish what they have accepted
}

// reload is a request for a planned restart.
type reload struct {
	ctx  context.Context
	done chan<- error // gets one value, without blocking
}

// ExitError is how a server ended that has told the reason itself.
type ExitError struct{ Status int }

func (e ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Status) }

func (k *Keeper) init() {
	k.once.Do(func() {
		k.thread, k.reloads, k.held = make(chan func()), make(chan reload), map[string]*os.File{}
		k.StartTimeout = cmp.Or(k.StartTimeout, time.Minute)
		k.FreeTimeout = cmp.Or(k.FreeTimeout, time.Hour)
		k.LeaveTimeout = cmp.Or(k.LeaveTimeout, time.Hour)
		k.hangups = make(chan os.Signal, 1)
		go k.runThread()
	})
}

// Thread runs f on the one thread that starts servers, and blocks until it has returned. That thread
// lives as long as the process. On Linux a server is killed when the thread that started it ends.
func (k *Keeper) Thread(f func()) {
	k.init()
	done := make(chan struct{})
	k.thread <- func() {
		defer close(done)
		f()
	}
	<-done
}

func (k *Keeper) runThread() {
	runtime.LockOSThread()
	for f := range k.thread {
		f()
	}
}

// Pauses before a server is started again, doubling from the first to the last. They begin at none
// for a server that has served for some time.
const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
	steady   = 2 * time.Second
)

// Run starts a server and keeps one running until ctx ends. Then it ends the server in order and
// waits for it. If the first server cannot serve, the error is an [ExitError]. SIGHUP is a reload, and
// SIGQUIT is passed on.
func (k *Keeper) Run(ctx context.Context) error {
	k.init()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGQUIT)
	defer signal.Stop(signals)
	signal.Notify(k.hangups, syscall.SIGHUP)
	defer signal.Stop(k.hangups)

	onTerminal := hasTerminal()
	var err error
	if k.path, err = os.Executable(); err != nil { // on Linux it follows a program that is moved
		return err
	}
	program, err := running(k.path)
	if err != nil {
		return err
	}
	s, err := k.begin(ctx, program, true)
	if err != nil || s == nil {
		return err
	}
	notify("READY=1")
	go k.watchdog(ctx)
	began, wait := time.Now(), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return k.end(s)
		case <-signals:
			s.signal(syscall.SIGQUIT)
			for _, old := range k.leaving {
				old.signal(syscall.SIGQUIT)
			}
			s.drain()
			return k.result(s)
		case <-k.hangups:
			if k.OnTerminal && onTerminal && !hasTerminal() {
				return k.end(s)
			}
			s = k.reload(ctx, s, reload{ctx: ctx, done: make(chan error, 1)})
		case r := <-k.reloads:
			s = k.reload(ctx, s, r)
		case <-s.exited:
			s.drain()
			if time.Since(began) > steady {
				wait = 0
			}
			k.Log.Error("the server ended; starting it again", "err", ended(s.err), "in", wait)
			s = k.again(ctx, s.program, &wait)
			if s == nil {
				return nil
			}
			began = time.Now()
		}
	}
}

// begin starts a server while there is none, and blocks until it serves. It returns none if ctx ended
// first and the server ended in order.
func (k *Keeper) begin(ctx context.Context, program *os.File, first bool) (*server, error) {
	s, err := k.launch(program, first, false)
	if err != nil {
		return nil, err
	}
	err = k.proceed(ctx, s, func() error { return nil })
	if err == nil {
		return s, nil
	}
	select {
	case <-s.exited:
		s.drain()
		return nil, k.failure(s, err)
	default:
	}
	if ctx.Err() != nil { // it may be in the middle of something
		s.signal(syscall.SIGTERM)
		s.drain()
		return nil, k.result(s)
	}
	s.kill()
	return nil, err
}

// failure is why a server that has ended could not serve.
func (k *Keeper) failure(s *server, err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](s.err); ok && exit.ExitCode() > 0 {
		return ExitError{exit.ExitCode()}
	}
	return err
}

// proceed waits until s is prepared, calls clear, and lets s serve.
func (k *Keeper) proceed(ctx context.Context, s *server, clear func() error) error {
	m, err := s.await(ctx, prepared, k.StartTimeout)
	if err != nil {
		return err
	}
	if err := clear(); err != nil {
		m.close()
		return err
	}
	s.tell(start)
	if _, err := s.await(ctx, serving, k.StartTimeout); err != nil {
		m.close()
		return err
	}
	k.commit(m)
	return nil
}

// again starts a server until one serves: of the same program, or of the one that is at its path if
// somebody asks for a reload. It returns nil if ctx has ended.
func (k *Keeper) again(ctx context.Context, program *os.File, wait *time.Duration) *server {
	for {
		var asked reload
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(*wait):
		case <-k.hangups:
			asked.done = make(chan error, 1)
		case asked = <-k.reloads:
		}
		*wait = min(max(2**wait, minPause), maxPause)
		var err error
		if asked.done != nil {
			var newest *os.File
			if newest, err = open(k.path); err == nil {
				program.Close()
				program = newest
			}
		}
		var s *server
		if err == nil {
			s, err = k.begin(ctx, program, false)
		}
		if asked.done != nil {
			asked.done <- err
		}
		if s != nil {
			return s
		}
		if ctx.Err() == nil {
			k.Log.Error("the server cannot serve; starting it again", "err", err, "in", *wait)
		}
	}
}

// end ends all servers in order.
func (k *Keeper) end(s *server) error {
	notify("STOPPING=1")
	s.tell(stop)
	for _, old := range k.leaving {
		old.signal(syscall.SIGTERM)
	}
	s.drain()
	for _, old := range k.leaving {
		<-old.exited
	}
	return k.result(s)
}

// result is the error for the exit status of s.
func (k *Keeper) result(s *server) error {
	if s.err == nil {
		return nil
	}
	return k.failure(s, fmt.Errorf("the server ended: %w", s.err))
}

// hasTerminal reports whether this process has a controlling terminal.
func hasTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_WRONLY|syscall.O_NOCTTY, 0)
	if err == nil {
		f.Close()
	}
	return err == nil
}
