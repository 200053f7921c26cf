package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"paas/engine"
	"paas/engine/local/ports"
)

// Ports for web processes: below the ephemeral range (from 32768 on Linux, 49152 elsewhere), in
// which any outgoing connection may sit on the port an app is about to listen on.
const firstPort, lastPort = 20000, 31999

// claim is a port that is reserved for a process of an app; nil is none.
type claim struct {
	port int
	app  string

	mu       sync.Mutex
	answered bool      // the process was met there
	foreign  time.Time // since when another program is met there; zero: none is
	taken    bool      // the process was ended for that, before it listened
	shared   bool      // and this: it has listened there, and another program does too
}

// number is the port; 0: there is none.
func (c *claim) number() int {
	if c == nil {
		return 0
	}
	return c.port
}

// takePort reserves a TCP port for the app, until freePort: one that try succeeds with. It starts
// anywhere, so that two servers on one machine seldom meet and a port just left rests.
func (l *Local) takePort(app string, try func(port int) error) (*claim, error) {
	const count = lastPort - firstPort + 1
	for start, i := rand.IntN(count), 0; i < count; i++ {
		port := firstPort + (start+i)%count
		c := l.reserve(port, app)
		if c == nil {
			continue
		}
		err := try(port)
		if err == nil {
			return c, nil
		}
		l.freePort(c)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("no port: %w", err)
		}
	}
	return nil, l.noPort()
}

// noPort says who has all the ports.
func (l *Local) noPort() error {
	l.mu.Lock()
	own := len(l.ports)
	l.mu.Unlock()
	text := fmt.Sprintf("no free port between %d and %d: processes of apps were given %d", firstPort, lastPort, own)
	if uid, count := ports.Busiest(firstPort, lastPort); count > 0 {
		text += fmt.Sprintf(", programs of user id %d listen on %d (ss -ltnp shows them)", uid, count)
	}
	return errors.New(text)
}

// reserve is nil where the port is reserved already.
func (l *Local) reserve(port int, app string) *claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ports[port] != nil {
		return nil
	}
	c := &claim{port: port, app: app}
	l.ports[port] = c
	return c
}

// freePort ends a claim; nil is none.
func (l *Local) freePort(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c != nil && l.ports[c.port] == c {
		delete(l.ports, c.port)
	}
}

// foreignFor is how long another program must have had a port before the process is ended for that.
// It may be one that is just ending; or the process has crashed, and then its port was taken.
const foreignFor = time.Second / 4

// portTries is how many ports a process is given, one after the other, where another program has
// taken each of those before.
const portTries = 5

// Dial is as [engine.Fleet.Dial]. It blocks until it is connected, or ctx ends.
func (l *Local) Dial(ctx context.Context, at engine.Place, port int) (net.Conn, error) {
	p, _, err := l.process(at)
	if err != nil {
		return nil, err
	}
	own := port == 0 || port == p.claim.number()
	if port == 0 {
		port = p.claim.number()
	}
	conn, err := p.owner.Dial(ctx, loopback(port))
	if errors.Is(err, ports.ErrForeign) {
		err = engine.ErrForeign
	}
	if own && p.claim != nil {
		p.met(err)
	}
	return conn, err
}

// met takes what was met at the process's port: the process where err is nil. A process whose port
// is another program's is ended, to be given another port.
func (p *process) met(err error) {
	c := p.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.foreign.IsZero()
	switch {
	case err == nil:
		c.answered, c.foreign = true, time.Time{}
	case !errors.Is(err, engine.ErrForeign):
		c.foreign = time.Time{}
	case first:
		c.foreign = time.Now()
		if c.answered {
			go p.leavePort()
		}
	case !c.answered && !c.taken && time.Since(c.foreign) >= foreignFor:
		c.taken = true
		go p.Stop(time.Second)
	}
}

// leavePort ends a process that shares its port with another program, unless it has ended by
// itself.
func (p *process) leavePort() {
	select {
	case <-p.Done():
		return
	case <-time.After(foreignFor):
	}
	p.claim.mu.Lock()
	p.claim.shared = true
	p.claim.mu.Unlock()
	p.Stop(time.Second)
}

// exit is how a process ended that had the port, where the port was the reason.
func (c *claim) exit(try int) (e engine.Exit, ok bool) {
	if c == nil {
		return e, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.shared:
		return engine.Exit{Reason: "another program listens on its port"}, true
	case c.answered || c.foreign.IsZero():
		return e, false
	case try < portTries:
		return engine.Exit{Reason: c.takenBy()}, true
	}
	return engine.Exit{
		Reason: fmt.Sprintf("%s, and on the %d before", c.takenBy(), portTries-1),
		Hint:   "try again; on the server, ss -ltnp shows who listens; if it is the app itself, keep it in the foreground",
	}, true
}

func (c *claim) takenBy() string {
	return fmt.Sprintf("another program listens on the port that it was given (%d)", c.port)
}

// Again is as [keep.Process.Again]: once more with another port where this one was taken before the
// process listened. It may have failed to bind where the other program is not met: on another
// address, or not listening.
func (p *process) Again() (why string, again bool) {
	c := p.claim
	if c == nil || p.try >= portTries {
		return "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered || c.foreign.IsZero() && !errors.Is(tryPort(c.port), syscall.EADDRINUSE) {
		return "", false
	}
	return c.takenBy() + "; trying another port", true
}

// Addr is where a process with a port is to listen.
func (p *process) Addr() string {
	if p.claim == nil {
		return ""
	}
	return loopback(p.claim.port)
}

// process is the process that at is about.
func (l *Local) process(at engine.Place) (*process, engine.Unit, error) {
	p, unit, err := l.Process(at)
	if err != nil {
		return nil, unit, err
	}
	return p.(*process), unit, nil
}

// Listening is as [engine.Fleet.Listening].
func (l *Local) Listening(_ context.Context, at engine.Place) []string {
	p, _, err := l.process(at)
	if err != nil {
		return nil
	}
	return p.Child.Listening()
}

// Checking says in a few words how it is made sure that a port is an app's own.
func (l *Local) Checking() string {
	switch {
	case ports.Check() != nil:
		return fmt.Sprintf("ports not checked (%v)", ports.Check())
	case l.Confined.Isolation.Users:
		return "ports checked by user"
	}
	return "ports checked by process (an app that sets SO_REUSEPORT can be made to restart by a neighbour)"
}

// tryPort reports why nothing can listen on the port. It tries all addresses at once: an app may
// want to listen on any of them.
func tryPort(port int) error {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err == nil {
		listener.Close()
	}
	return err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
