package router

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// gate is a listener that accepts no more than so many connections at a time.
type gate struct {
	Listener net.Listener
	slots    chan struct{}
	once     sync.Once
	done     chan struct{}
}

func newGate(l net.Listener, n int) *gate {
	return &gate{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a free slot, and for a connection. While there is no slot it calls full now and
// then, which may free one.
func (g *gate) Accept(full func()) (net.Conn, error) {
	select {
	case g.slots <- struct{}{}:
	default:
		if err := g.wait(full); err != nil {
			return nil, err
		}
	}
	c, err := g.Listener.Accept()
	if err != nil {
		g.release()
	}
	return c, err
}

func (g *gate) wait(full func()) error {
	again := time.NewTicker(lastCall)
	defer again.Stop()
	for {
		select {
		case g.slots <- struct{}{}:
			return nil
		case <-g.done:
			return net.ErrClosed
		case <-again.C:
			full()
		}
	}
}

// release gives back the slot of one connection.
func (g *gate) release() { <-g.slots }

func (g *gate) Close() error {
	g.once.Do(func() { close(g.done) })
	return g.Listener.Close()
}

// errCrowd: an app has its share of the connections.
var errCrowd = errors.New("the app has its share of the connections")

// crowd counts the requests in progress, websockets and event streams included, so that one app
// cannot take all connections. An app may have up to three times as many as are free: three
// quarters of all where it is alone, and there is always room for one more app.
type crowd struct {
	max  int64
	busy atomic.Int64
}

const crowdShare = 3

// enter counts one more request for a, unless it has its share.
func (c *crowd) enter(a *app) bool {
	free := c.max - c.busy.Add(1)
	if a.busy.Add(1) <= max(1, crowdShare*free) {
		return true
	}
	c.leave(a)
	return false
}

func (c *crowd) leave(a *app) {
	a.busy.Add(-1)
	c.busy.Add(-1)
}

// A client can make errors at will, so lines are counted: no more than quietLines in quietEvery.
const (
	quietLines = 20
	quietEvery = 10 * time.Second
)

// quiet logs warnings, not too many of them.
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
