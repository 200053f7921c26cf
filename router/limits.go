package router

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// limitedListener accepts a limited number of connections at a time.
type limitedListener struct {
	inner net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{}
}

func newLimitedListener(l net.Listener, n int) *limitedListener {
	return &limitedListener{inner: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a free slot and then for a connection. While no slot is free it calls full every
// idleGrace; full may free one.
func (l *limitedListener) Accept(full func()) (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		if err := l.wait(full); err != nil {
			return nil, err
		}
	}
	c, err := l.inner.Accept()
	if err != nil {
		l.release()
	}
	return c, err
}

func (l *limitedListener) wait(full func()) error {
	again := time.NewTicker(idleGrace)
	defer again.Stop()
	for {
		select {
		case l.slots <- struct{}{}:
			return nil
		case <-l.done:
			return net.ErrClosed
		case <-again.C:
			full()
		}
	}
}

// release frees the slot of a closed connection.
func (l *limitedListener) release() { <-l.slots }

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.inner.Close()
}

// errOverShare means that an app already uses its share of the connections.
var errOverShare = errors.New("the app already uses its share of the connections")

// fairShare counts requests in progress so that one app cannot take all connections. An app may
// have up to shareFactor times as many as are free: three quarters if it is alone, and there is
// always room for another app.
type fairShare struct {
	max        int64
	inProgress atomic.Int64
}

const shareFactor = 3

// acquire counts one more request for a, or returns false if a already has its share.
func (s *fairShare) acquire(a *app) bool {
	free := s.max - s.inProgress.Add(1)
	if a.inProgress.Add(1) <= max(1, shareFactor*free) {
		return true
	}
	s.release(a)
	return false
}

func (s *fairShare) release(a *app) {
	a.inProgress.Add(-1)
	s.inProgress.Add(-1)
}

// Clients can cause warnings at will, so at most maxWarnings are logged per warnInterval.
const (
	maxWarnings  = 20
	warnInterval = 10 * time.Second
)

// throttledLog logs warnings at a limited rate.
type throttledLog struct {
	log *slog.Logger

	mu      sync.Mutex
	since   time.Time
	written int
	dropped int // since the last line logged
}

func (l *throttledLog) warn(msg string, args ...any) {
	l.mu.Lock()
	if now := time.Now(); now.Sub(l.since) > warnInterval {
		l.since, l.written = now, 0
	}
	if l.written++; l.written > maxWarnings {
		l.dropped++
		l.mu.Unlock()
		return
	}
	dropped := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	if dropped > 0 {
		args = append(args, "suppressed", dropped)
	}
	l.log.Warn(msg, args...)
}
