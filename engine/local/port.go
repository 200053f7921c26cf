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

// The ports for web processes are below the ephemeral range, which begins at 32768 on Linux and
// 49152 on other systems: an outgoing connection may use any port of that range.
const firstPort, lastPort = 20000, 31999

// Ports returns the first and the last port that a web process may get.
func Ports() (first, last int) { return firstPort, lastPort }

// claim is a port that is reserved for a process of an app. A nil claim has no port.
type claim struct {
	port int
	app  string

	mu       sync.Mutex
	answered bool      // a dial has reached the process
	foreign  time.Time // since when dials reach another program; zero: they do not
	taken    bool      // the process was ended because of that, before it listened
	shared   bool      // the process was ended because another program listens there too
}

// number returns the port, or 0 if there is none.
func (c *claim) number() int {
	if c == nil {
		return 0
	}
	return c.port
}

// takePort reserves a TCP port for which try succeeds, until freePort. It begins at a random port,
// so that two servers on one machine seldom collide and a port is not reused at once.
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

// noPort is the error if no port is free: it says who has them.
func (l *Local) noPort() error {
	l.mu.Lock()
	own := len(l.ports)
	l.mu.Unlock()
	text := fmt.Sprintf("no free port between %d and %d: processes of apps were given %d",
		firstPort, lastPort, own)
	if uid, count := ports.Busiest(firstPort, lastPort); count > 0 {
		text += fmt.Sprintf(", programs of user id %d listen on %d (ss -ltnp shows them)",
			uid, count)
	}
	return errors.New(text)
}

// reserve returns nil if the port is already reserved.
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

// freePort ends a claim; c may be nil.
func (l *Local) freePort(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c != nil && l.ports[c.port] == c {
		delete(l.ports, c.port)
	}
}

// foreignFor is how long another program must listen on the port before the process is ended. That
// program may be about to end, or it took the port after the process crashed.
const foreignFor = time.Second / 4

// portTries is how many ports a process gets, one after the other, if another program takes them.
const portTries = 5

// Dial implements [engine.Fleet]. It blocks until it is connected or ctx ends.
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
		p.dialed(err)
	}
	return conn, err
}

// dialed records the result of a dial to the process's port. If another program has the port, it
// ends the process, which then gets another port.
func (p *process) dialed(err error) {
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

// leavePort ends a process that shares its port with another program, unless it ends by itself.
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

// exit returns how the process with the port ended, if the port was the reason.
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
		Hint: "try again; on the server, ss -ltnp shows who listens; " +
			"if it is the app itself, keep it in the foreground",
	}, true
}

func (c *claim) takenBy() string {
	return fmt.Sprintf("another program listens on the port that it was given (%d)", c.port)
}

// Again implements [keep.Process]: a process whose port was taken before it listened gets another
// one. The other program may have the port without being reached by a dial: on another address, or
// without listening.
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

// Addr returns the address that a process with a port should listen on.
func (p *process) Addr() string {
	if p.claim == nil {
		return ""
	}
	return loopback(p.claim.port)
}

// process returns the process that at refers to.
func (l *Local) process(at engine.Place) (*process, engine.Unit, error) {
	p, unit, err := l.Process(at)
	if err != nil {
		return nil, unit, err
	}
	return p.(*process), unit, nil
}

// Listening implements [engine.Fleet].
func (l *Local) Listening(_ context.Context, at engine.Place) []string {
	p, _, err := l.process(at)
	if err != nil {
		return nil
	}
	return p.Child.Listening()
}

// Checking describes how the engine checks that a port is an app's own.
func (l *Local) Checking() string {
	switch {
	case ports.Check() != nil:
		return fmt.Sprintf("ports not checked (%v)", ports.Check())
	case l.isolation.Users:
		return "ports checked by user"
	}
	return "ports checked by process " +
		"(an app that sets SO_REUSEPORT can be made to restart by a neighbour)"
}

// tryPort returns why nothing can listen on the port. It tries all addresses at once: an app may
// listen on any of them.
func tryPort(port int) error {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err == nil {
		listener.Close()
	}
	return err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
