package router

import (
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// gate is a listener that accepts no more than so many connections at a time. It does not wrap
// them: net/http must see a *tls.Conn to know that a request came over TLS.
type gate struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{}
}

func newGate(l net.Listener, n int) *gate {
	return &gate{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

func (g *gate) Accept() (net.Conn, error) {
	select {
	case g.slots <- struct{}{}:
	case <-g.done:
		return nil, net.ErrClosed
	}
	c, err := g.Listener.Accept()
	if err != nil {
		g.release()
	}
	return c, err
}

// release gives back the slot of one connection.
func (g *gate) release() { <-g.slots }

// retake counts a connection that left net/http's care, if there is a slot; the function gives it
// back.
func (g *gate) retake() (release func()) {
	select {
	case g.slots <- struct{}{}:
		return g.release
	default:
		return func() {}
	}
}

func (g *gate) Close() error {
	g.once.Do(func() { close(g.done) })
	return g.Listener.Close()
}

// A client can make errors at will, so lines are counted: no more than quietLines in quietEvery.
const (
	quietLines = 20
	quietEvery = 10 * time.Second
)

// quiet logs warnings, not too many of them. As an io.Writer it is net/http's error log.
type quiet struct {
	log *slog.Logger

	mu      sync.Mutex
	since   time.Time
	lines   int
	dropped int // since the last line written
}

func (q *quiet) warn(msg string, args ...any) {
	q.mu.Lock()
	if now := time.Now(); now.Sub(q.since) > quietEvery {
		q.since, q.lines = now, 0
	}
	if q.lines++; q.lines > quietLines {
		q.dropped++
		q.mu.Unlock()
		return
	}
	dropped := q.dropped
	q.dropped = 0
	q.mu.Unlock()
	if dropped > 0 {
		args = append(args, "unlogged", dropped)
	}
	q.log.Warn(msg, args...)
}

func (q *quiet) Write(p []byte) (int, error) {
	q.warn(strings.TrimSpace(string(p)))
	return len(p), nil
}
