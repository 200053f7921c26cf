package router

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// clientConns is the set of all client connections.
type clientConns struct {
	mu      sync.Mutex
	all     map[*clientConn]struct{}
	running sync.WaitGroup
}

// accept serves the connections of a listener until it closes, with TLS if config is not nil.
func (r *Router) accept(l net.Listener, config *tls.Config) error {
	wait := time.Duration(0)
	for r.takeSlot() {
		c, err := l.Accept()
		if err != nil {
			<-r.slots
			var again interface{ Temporary() bool }
			if errors.Is(err, net.ErrClosed) || !errors.As(err, &again) || !again.Temporary() {
				return err
			}
			// Too many open files, or a client that left early: not a reason to stop.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			r.throttled.warn("accept", "err", err, "retry", wait)
			select {
			case <-time.After(wait):
			case <-r.closing:
			}
			continue
		}
		wait = 0
		if config != nil {
			c = tls.Server(c, config)
		}
		s := &clientConn{router: r, conn: c}
		s.gone, s.leave = context.WithCancel(context.Background())
		r.clients.add(s)
		go func() {
			defer func() { <-r.slots }()
			defer r.clients.remove(s)
			s.run()
		}()
	}
	return net.ErrClosed
}

// takeSlot waits for a free slot, and closes idle connections meanwhile. It returns false if the
// router stops.
func (r *Router) takeSlot() bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
	}
	again := time.NewTicker(idleGrace)
	defer again.Stop()
	for {
		select {
		case r.slots <- struct{}{}:
			return true
		case <-r.closing:
			return false
		case <-again.C:
			r.clients.makeRoom()
		}
	}
}

func (ccs *clientConns) add(one *clientConn) {
	ccs.running.Add(1)
	one.idleSince = monotonic()
	ccs.mu.Lock()
	defer ccs.mu.Unlock()
	ccs.all[one] = struct{}{}
}

func (ccs *clientConns) remove(one *clientConn) {
	ccs.mu.Lock()
	delete(ccs.all, one)
	ccs.mu.Unlock()
	ccs.running.Done()
}

// done returns a channel that closes when the last connection has closed. None may be added any
// more.
func (ccs *clientConns) done() <-chan struct{} {
	all := make(chan struct{})
	go func() {
		ccs.running.Wait()
		close(all)
	}()
	return all
}

// idleWhenFull is how long a connection may be idle while others wait to be accepted, and how long it
// may take for the header of a request then.
const idleWhenFull = time.Second

// closeIdle closes all idle connections soon.
func (ccs *clientConns) closeIdle() {
	ccs.mu.Lock()
	defer ccs.mu.Unlock()
	for one := range ccs.all {
		one.closeIfIdle()
	}
}

// makeRoom closes connections that have been idle, or have sent a part of a header, for idleWhenFull:
// an eighth of them, the oldest. So room is made as fast as many clients can fill it, and others keep
// their connections.
func (ccs *clientConns) makeRoom() {
	ccs.mu.Lock()
	defer ccs.mu.Unlock()
	type waiting struct {
		since int64
		conn  *clientConn
	}
	var all []waiting
	for one := range ccs.all {
		if since := one.silentSince(); since > 0 && since <= monotonic()-int64(idleWhenFull) {
			all = append(all, waiting{since, one})
		}
	}
	slices.SortFunc(all, func(a, b waiting) int { return cmp.Compare(a.since, b.since) })
	for _, w := range all[:(len(all)+7)/8] {
		w.conn.closeIfSilent()
	}
}

// closeServed closes all connections that have been idle for that long since their last request, and
// those that have sent none in the time that they have for it.
func (ccs *clientConns) closeServed(idle time.Duration) {
	ccs.mu.Lock()
	defer ccs.mu.Unlock()
	now := monotonic()
	for one := range ccs.all {
		limit := idle
		if !one.asked.Load() {
			limit = one.router.ReadHeaderTimeout
		}
		if since := one.waitingSince(); since > 0 && now-since >= int64(limit) {
			one.closeIfIdle()
		}
	}
}

// abortAll breaks all client connections and those to their backends.
func (ccs *clientConns) abortAll() {
	ccs.mu.Lock()
	defer ccs.mu.Unlock()
	for one := range ccs.all {
		one.abort()
		one.abandon()
	}
}
