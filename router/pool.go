package router

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Idle connections are kept on a stack: the one used last is the most likely to be alive and in the
// processor's cache, and those at the bottom expire. http.Transport has two goroutines per
// connection and hands each request over to them; here the request's own goroutine reads and
// writes.
const (
	maxIdleConns = 512 // per backend

	// How long a connection stays idle. Shorter than what servers allow, or they close it just as a
	// request is sent: Node's http server closes after 5 s.
	maxIdleTime = 4 * time.Second
)

// errStale means that an idle connection closed before a byte of the response arrived. The app may
// or may not have read the request.
var errStale = errors.New("connection closed by the app before it responded")

// errIdleClosed means that the app has closed its idle connections and nothing was sent. The app
// may be exiting, in which case a new connection could break too: try another backend first.
var errIdleClosed = errors.New("the app closed its idle connections")

// dialError means that no connection was made, so nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// connPool is the connections to one backend.
type connPool struct {
	addr string
	// [monotonic] time of the last refused connection; 0 if it has accepted one since
	refusedAt atomic.Int64

	mu     sync.Mutex
	idle   []*appConn      // the one used last is last
	http2  *http.Transport // nil: not needed yet
	closed bool            // keeps no more connections
	expiry *time.Timer
}

// appConn is a connection to a backend. One goroutine uses it at a time, except for Close.
type appConn struct {
	net.Conn
	pool      *connPool
	br        *bufio.Reader
	bw        *bufio.Writer
	raw       []byte // the header read last; reused as a buffer
	reused    bool
	idleSince time.Time
	probe     probe

	x              *exchange // the exchange that uses it, or nil
	watchOnTimeout bool      // when the read deadline passes, start watching the client
	watchAt        time.Time // the read deadline, if it is there for that; guarded by deadlineMu

	writeDeadlineSet time.Time // when the write deadline was set

	deadlineMu       sync.Mutex // held while the read deadline is set
	responseDeadline time.Time  // zero once the response has started
	checkAt          time.Time  // the read deadline, if it is there to ask [Router.Alive]; else zero
}

// startExchange lends c to x and starts ResponseTimeout.
func (c *appConn) startExchange(x *exchange) {
	c.x = x
	now := time.Now()
	c.setResponseDeadline(now.Add(x.router.ResponseTimeout))
	if c.watchOnTimeout = !x.bodyPending(); c.watchOnTimeout {
		c.setWatchDeadline(now, min(hangupWatchDelay, x.router.ResponseTimeout))
	} else {
		c.updateReadDeadline(x)
	}
	if x.client.app.Store(c); x.client.gone.Err() != nil {
		c.Close()
	}
}

// setWatchDeadline sets the read deadline to d from now, or leaves it if it is at least that far away and
// at most twice as far. So most requests of a busy connection change none.
func (c *appConn) setWatchDeadline(now time.Time, d time.Duration) {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if c.watchAt.Sub(now) < d {
		c.watchAt = now.Add(2 * d)
		c.SetReadDeadline(c.watchAt)
	}
}

// extendWriteDeadline gives the app d to accept the next write, d being the same each time.
func (c *appConn) extendWriteDeadline(now time.Time, d time.Duration) {
	if now.Sub(c.writeDeadlineSet) > d/16 {
		c.writeDeadlineSet = now
		c.SetWriteDeadline(now.Add(d))
	}
}

// setResponseDeadline sets by when the response must start. It takes effect at updateReadDeadline.
func (c *appConn) setResponseDeadline(then time.Time) {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	c.responseDeadline = then
}

// responseStarted removes the time limit from the rest of the response.
func (c *appConn) responseStarted() {
	if c.setResponseDeadline(time.Time{}); !c.watchOnTimeout {
		c.updateReadDeadline(c.x)
	}
}

// updateReadDeadline sets the read deadline to responseDeadline, or to HalfCloseTimeout from now if
// the client has closed its side, or to when [Router.Alive] must be asked again, whichever is sooner.
func (c *appConn) updateReadDeadline(x *exchange) {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	until := c.responseDeadline
	if x.hangup.halfClosed.Load() {
		if t := time.Now().Add(x.router.HalfCloseTimeout); until.IsZero() || t.Before(until) {
			until = t
		}
	}
	c.watchAt = time.Time{}
	if c.checkAt = (time.Time{}); x.router.Alive != nil {
		if t := time.Now().Add(x.router.AliveEvery); until.IsZero() || t.Before(until) {
			until, c.checkAt = t, t
		}
	}
	c.SetReadDeadline(until)
}

// mayWait reports whether the read deadline has passed only because [Router.Alive] must be asked, and
// that says yes. Then there is a new one.
func (c *appConn) mayWait(x *exchange) bool {
	c.deadlineMu.Lock()
	due := !c.checkAt.IsZero()
	c.deadlineMu.Unlock()
	if !due || !x.router.Alive() {
		return false
	}
	c.updateReadDeadline(x)
	return true
}

// Read reads from the app. Before it blocks, it flushes what was written to the client.
func (c *appConn) Read(p []byte) (int, error) {
	x := c.x
	if x == nil {
		return c.Conn.Read(p)
	}
	if err := x.client.flush(); err != nil {
		return 0, fmt.Errorf("the client does not read the response: %w", err)
	}
	if x.hangup.halfClosed.Load() {
		c.watchOnTimeout = false
		c.updateReadDeadline(x)
	}
	n, err := c.Conn.Read(p)
	if c.watchOnTimeout && isTimeout(err) {
		c.watchOnTimeout = false
		c.updateReadDeadline(x)
		x.watchForHangup()
		n, err = c.Conn.Read(p)
	}
	for isTimeout(err) && c.mayWait(x) {
		n, err = c.Conn.Read(p)
	}
	return n, err
}

// get returns the most recently used idle connection that is still open, or a new one. If it found
// only closed ones, it returns errIdleClosed, once per exchange.
func (p *connPool) get(ctx context.Context, x *exchange) (*appConn, error) {
	idleClosed := false
	if alive := x.router.Alive; alive != nil && !alive() {
		p.closeIdle()
	}
	for c := p.pop(); c != nil; c = p.pop() {
		if c.isIdle() {
			c.reused = true
			return c, nil
		}
		c.Close()
		idleClosed = true
	}
	if idleClosed && x.avoid == nil {
		return nil, errIdleClosed
	}
	nc, err := x.router.dial(ctx, x.app.name, p.addr)
	if err != nil {
		if ctx.Err() == nil { // else the client left
			p.refusedAt.Store(monotonic())
		}
		return nil, &dialError{err}
	}
	p.refusedAt.Store(0)
	c := &appConn{Conn: nc, pool: p}
	c.br = bufio.NewReader(c)
	c.bw = bufio.NewWriter(nc)
	return c, nil
}

// dial connects to a backend of the app.
func (r *Router) dial(ctx context.Context, app, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.ConnectTimeout)
	defer cancel()
	if r.Dial != nil {
		return r.Dial(ctx, app, addr)
	}
	// The address is usually an IP address on the loopback: no names to resolve, no second address
	// family to try, no use for keep-alive probes.
	d := net.Dialer{KeepAlive: -1, FallbackDelay: -1}
	return d.DialContext(ctx, "tcp", addr)
}

func (p *connPool) pop() *appConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	if time.Since(c.idleSince) >= maxIdleTime { // this is the youngest; the timer closes the others
		return nil
	}
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put makes c available to the next request.
func (p *connPool) put(c *appConn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdleConns {
		c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if len(p.idle) == 1 {
		if p.expiry == nil {
			p.expiry = time.AfterFunc(maxIdleTime, p.expire)
		} else {
			p.expiry.Reset(maxIdleTime)
		}
	}
}

// expire closes the connections that were idle for maxIdleTime.
func (p *connPool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].idleSince) >= maxIdleTime {
		p.idle[old].Close()
		old++
	}
	n := copy(p.idle, p.idle[old:])
	clear(p.idle[n:])
	p.idle = p.idle[:n]
	if n == 0 {
		p.idle = nil // an idle app keeps no memory
		return
	}
	p.expiry.Reset(maxIdleTime - time.Since(p.idle[0].idleSince))
}

// close closes the idle connections and those that would become idle.
func (p *connPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.dropIdle()
	if p.expiry != nil {
		p.expiry.Stop()
	}
	if p.http2 != nil {
		p.http2.CloseIdleConnections()
	}
}

// closeIdle closes the idle connections.
func (p *connPool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropIdle()
}

// dropIdle is closeIdle for a caller that holds mu.
func (p *connPool) dropIdle() {
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
}

// isIdle reports whether c is open and has no unread input. Unexpected input, such as a body longer
// than announced, would reach the next client as part of its response.
func (c *appConn) isIdle() bool {
	return c.br.Buffered() == 0 && c.probe.idle(c.Conn)
}

// probe checks for input on a connection with one system call and no allocation.
type probe struct {
	raw    syscall.RawConn
	read   func(fd uintptr)
	isOpen bool
}

func (p *probe) idle(c net.Conn) bool {
	if p.raw == nil {
		sc, ok := c.(syscall.Conn)
		if !ok {
			return true
		}
		raw, err := sc.SyscallConn()
		if err != nil {
			return false
		}
		p.raw = raw
		p.read = func(fd uintptr) {
			var b [1]byte
			n, err := syscall.Read(int(fd), b[:]) // does not block: Go's sockets are non-blocking
			p.isOpen = n < 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK)
		}
	}
	return p.raw.Control(p.read) == nil && p.isOpen
}
