package router

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

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
