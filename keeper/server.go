package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a process that the keeper has started.
type server struct {
	control  *control
	cmd      *exec.Cmd
	program  *os.File     // what it runs
	received chan message // closed at the end of the connection
	exited   chan struct{}
	err      error  // how it ended; valid after exited
	reason   string // why it cannot serve, in its own words
}

// launch starts a server and tells it what the keeper holds.
func (k *Keeper) launch(program *os.File, first, takeover bool) (*server, error) {
	conn, there, err := connection()
	if err != nil {
		return nil, err
	}
	defer there.Close()
	c := &control{conn: conn}
	s := &server{
		control: c, program: program, received: make(chan message, 16), exited: make(chan struct{}),
		cmd: &exec.Cmd{
			Path: runnable(program), Args: k.Argv, ExtraFiles: []*os.File{there},
			Env:    append(without(os.Environ(), own...), variable+"=3"), // the first after the three streams
			Stdout: os.Stdout, Stderr: os.Stderr, SysProcAttr: ownSession(),
		},
	}
	m := message{Kind: hello, First: first, Takeover: takeover, Root: k.Root}
	for name, f := range k.held {
		m.add(name, f)
	}
	for i, f := range k.Locks {
		m.add(lock+strconv.Itoa(i), f)
	}
	var ends []*os.File // of the server
	for name, serve := range k.Services {
		conn, there, err := connection()
		if err != nil {
			return nil, errors.Join(err, c.conn.Close())
		}
		m.add(name, there)
		ends = append(ends, there)
		go serve(conn)
	}
	defer func() { // if the server does not start, each service finds its connection closed
		for _, f := range ends {
			f.Close()
		}
	}()
	k.Thread(func() { err = s.cmd.Start() })
	if err != nil {
		return nil, errors.Join(err, c.conn.Close())
	}
	go s.receive()
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	if err := c.send(m); err != nil {
		k.Log.Warn("the server does not listen", "err", err) // it has exited
	}
	return s, nil
}

// own are variables that are for the keeper alone.
var own = []string{variable, "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}

// without returns env without some variables.
func without(env []string, names ...string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(names, name)
	})
}

func (s *server) receive() {
	defer close(s.received)
	for {
		m, err := s.control.receive()
		if err != nil {
			return
		}
		s.received <- m
	}
}

// errLate is the error of a server that does not do its part in time.
var errLate = errors.New("the server did not answer in time")

// await blocks until the server has sent a message of that kind. The error says why it will not.
func (s *server) await(ctx context.Context, want kind, limit time.Duration) (message, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case m, ok := <-s.received:
			switch {
			case !ok:
				s.received = nil // it exits
			case m.Kind == want:
				return m, nil
			case m.Kind == failed:
				s.reason = m.Error
			default:
				m.close() // of a handover that was given up
			}
		case <-s.exited:
			if s.reason != "" {
				return message{}, errors.New(s.reason)
			}
			return message{}, fmt.Errorf("the server ended: %w", ended(s.err))
		case <-timer.C:
			return message{}, fmt.Errorf("%w: not %s within %v", errLate, want, limit)
		case <-ctx.Done():
			return message{}, context.Cause(ctx)
		}
	}
}

// ended is how a process ended.
func ended(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// commit lets the keeper hold what m, a prepared message, asks for, and nothing else.
func (k *Keeper) commit(m message) {
	for name, f := range k.held {
		if slices.Contains(m.Files, name) || !slices.Contains(m.Held, name) {
			f.Close()
			delete(k.held, name)
		}
	}
	for i, name := range m.Files {
		k.held[name] = m.files[i]
	}
}

// tell sends a message. A server that has exited does not get it.
func (s *server) tell(k kind) { s.control.send(message{Kind: k}) }

// signal sends a signal, unless the server has exited.
func (s *server) signal(sig syscall.Signal) { s.cmd.Process.Signal(sig) }

// kill ends the server and waits until it has ended.
func (s *server) kill() {
	s.cmd.Process.Kill()
	s.drain()
}

// drain waits until the server has ended, and forgets what it still says.
func (s *server) drain() {
	for {
		select {
		case m, ok := <-s.received:
			if !ok {
				s.received = nil
				continue
			}
			m.close()
		case <-s.exited:
			s.control.close()
			return
		}
	}
}
