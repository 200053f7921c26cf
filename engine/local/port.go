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

	"paas/engine/local/ports"
)

// Ports for web processes: below the ephemeral range (from 32768 on Linux, 49152 elsewhere), in
// which any outgoing connection may sit on the port an app is about to listen on.
const firstPort, lastPort = 20000, 31999

// claim is a port that is reserved for a process of an app.
type claim struct {
	port  int
	app   string
	owner *ports.Owner // who must listen there; nil until the process is started. Guarded by Local.mu

	once sync.Once
	lost chan struct{} // closed when visitors were found to meet another program there
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
	c := &claim{port: port, app: app, lost: make(chan struct{})}
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

// letListen makes owner the one who must listen on a reserved port; nil is none.
func (l *Local) letListen(c *claim, owner *ports.Owner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c != nil {
		c.owner = owner
	}
}

// Dial connects to the process of the app that addr is the address of. It returns an error where another
// program listens there, be it one that has taken the port since the process ended. It blocks until connected,
// or ctx ends.
func (l *Local) Dial(ctx context.Context, app, addr string) (net.Conn, error) {
	_, number, _ := net.SplitHostPort(addr)
	port, _ := strconv.Atoi(number)
	var owner *ports.Owner
	l.mu.Lock()
	c := l.ports[port]
	if c != nil && c.app == app {
		owner = c.owner
	}
	l.mu.Unlock()
	if owner == nil {
		return nil, fmt.Errorf("%s: the process there has ended", addr)
	}
	conn, err := owner.Dial(ctx, addr)
	if errors.Is(err, ports.ErrForeign) {
		c.once.Do(func() { close(c.lost) })
	}
	return conn, err
}

// Checking says in a few words how it is made sure that a port is an app's own.
func (l *Local) Checking() string {
	switch {
	case ports.Check() != nil:
		return fmt.Sprintf("ports not checked (%v)", ports.Check())
	case l.Confined.Force.Users:
		return "ports checked by user"
	}
	return "ports checked by process (an app that sets SO_REUSEPORT can be made to restart by a neighbour)"
}

// tryPort reports why nothing can listen on the port. It tries all addresses at once: an app may want to listen
// on any of them.
func tryPort(port int) error {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err == nil {
		listener.Close()
	}
	return err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
