package router

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Connections to a process are kept on a stack: the one used last is the likeliest to be alive and
// to have its memory in the processor's cache, and what is left over sinks to the bottom and
// expires. http.Transport keeps two goroutines a connection and hands every request over to them;
// here the request's own goroutine writes and reads.
const (
	maxIdle = 512 // connections kept for one process

	// How long a connection is kept. Below what servers keep it for, or they close it as a request
	// is on its way: node's http server closes after 5 s.
	keepIdle = 4 * time.Second
)

// errStale: a kept connection was closed before a byte of the answer came. The app had closed it, or
// died with the request in hand; one cannot know.
var errStale = errors.New("connection closed by the app before it answered")

// errLeft: the app has closed the connections that were kept. It may be ending, and then a new one
// is as likely to break as to be refused: another process is worth a try first. Nothing was sent.
var errLeft = errors.New("the app closed its connections")

// dialError: there was no connection, so nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// upstream is the connections to one process.
type upstream struct {
	addr    string
	refused atomic.Int64 // when it last took no connection; 0: it has taken one since

	mu     sync.Mutex
	idle   []*conn // the one used last is last
	closed bool    // keeps none
	sweep  *time.Timer
}

// conn is a connection to a process. One goroutine uses it at a time, except for close.
type conn struct {
	net.Conn
	up     *upstream
	br     *bufio.Reader
	bw     *bufio.Writer
	raw    []byte // the header read last; memory for the next
	reused bool
	since  time.Time // idle since
	probe  probe

	x    *exchange // what it serves; nil: nothing
	soft bool      // the deadline for reading is there to begin a watch

	dl       sync.Mutex // held while the deadline for reading is set
	answerBy time.Time  // zero: the answer has begun
}

// serveFor lends c to x, which has ResponseTimeout to be answered.
func (c *conn) serveFor(x *exchange) {
	c.x = x
	now := time.Now()
	c.answerUntil(now.Add(x.router.ResponseTimeout))
	if c.soft = !x.unread(); c.soft {
		c.SetReadDeadline(now.Add(min(watchAfter, x.router.ResponseTimeout)))
	} else {
		c.readOn(x)
	}
	if x.s.app.Store(c); x.s.gone.Err() != nil {
		c.Close()
	}
}

// answerUntil gives the app until then to begin its answer, from the next readOn on.
func (c *conn) answerUntil(then time.Time) {
	c.dl.Lock()
	defer c.dl.Unlock()
	c.answerBy = then
}

// begun lets the rest of the answer take its time.
func (c *conn) begun() {
	if c.answerUntil(time.Time{}); !c.soft {
		c.readOn(c.x)
	}
}

// readOn sets the deadline for reading: answerBy, or HalfCloseTimeout where the client has closed
// its side and that is sooner.
func (c *conn) readOn(x *exchange) {
	c.dl.Lock()
	defer c.dl.Unlock()
	until := c.answerBy
	if x.watch.half.Load() {
		if t := time.Now().Add(x.router.HalfCloseTimeout); until.IsZero() || t.Before(until) {
			until = t
		}
	}
	c.SetReadDeadline(until)
}

// Read reads what the app says. Before it waits for that, the client gets what is there already.
func (c *conn) Read(p []byte) (int, error) {
	x := c.x
	if x == nil {
		return c.Conn.Read(p)
	}
	if err := x.s.flush(); err != nil {
		return 0, fmt.Errorf("the client does not take the answer: %w", err)
	}
	if x.watch.half.Load() {
		c.soft = false
		c.readOn(x)
	}
	n, err := c.Conn.Read(p)
	if c.soft && isTimeout(err) {
		c.soft = false
		c.readOn(x)
		x.beginWatch()
		n, err = c.Conn.Read(p)
	}
	return n, err
}

func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// get takes the connection used last that is open and has nothing to say, or opens one. Where it
// found only closed ones it returns errLeft, once for x.
func (u *upstream) get(ctx context.Context, x *exchange) (*conn, error) {
	left := false
	for c := u.pop(); c != nil; c = u.pop() {
		if c.quiet() {
			c.reused = true
			return c, nil
		}
		c.Close()
		left = true
	}
	if left && x.stale == nil {
		return nil, errLeft
	}
	nc, err := x.router.dial(ctx, x.app.name, u.addr)
	if err != nil {
		if ctx.Err() == nil { // else the client left
			u.refused.Store(clock())
		}
		return nil, &dialError{err}
	}
	u.refused.Store(0)
	c := &conn{Conn: nc, up: u}
	c.br = bufio.NewReader(c)
	c.bw = bufio.NewWriter(nc)
	return c, nil
}

// dial connects to a process of the app. Nothing is sent.
func (r *Router) dial(ctx context.Context, app, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.ConnectTimeout)
	defer cancel()
	if r.Dial != nil {
		return r.Dial(ctx, app, addr)
	}
	// The address is an IP address as a rule: no names to look up, no second family to try. On
	// the loopback keep-alive probes tell nothing that a reset would not.
	d := net.Dialer{KeepAlive: -1, FallbackDelay: -1}
	return d.DialContext(ctx, "tcp", addr)
}

func (u *upstream) pop() *conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := len(u.idle)
	if n == 0 {
		return nil
	}
	c := u.idle[n-1]
	if time.Since(c.since) >= keepIdle { // the youngest; the timer has the others
		return nil
	}
	u.idle[n-1] = nil
	u.idle = u.idle[:n-1]
	return c
}

// put keeps c for the next request.
func (u *upstream) put(c *conn) {
	c.since = time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || len(u.idle) >= maxIdle {
		c.Close()
		return
	}
	u.idle = append(u.idle, c)
	if len(u.idle) == 1 {
		if u.sweep == nil {
			u.sweep = time.AfterFunc(keepIdle, u.expire)
		} else {
			u.sweep.Reset(keepIdle)
		}
	}
}

// expire closes the connections that nobody used for keepIdle, and comes back for the others.
func (u *upstream) expire() {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := 0
	for old < len(u.idle) && time.Since(u.idle[old].since) >= keepIdle {
		u.idle[old].Close()
		old++
	}
	n := copy(u.idle, u.idle[old:])
	clear(u.idle[n:])
	u.idle = u.idle[:n]
	if n == 0 {
		u.idle = nil // an idle app keeps nothing
		return
	}
	u.sweep.Reset(keepIdle - time.Since(u.idle[0].since))
}

// close closes the idle connections, and from now on those that would become idle.
func (u *upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for _, c := range u.idle {
		c.Close()
	}
	u.idle = nil
	if u.sweep != nil {
		u.sweep.Stop()
	}
}

// quiet reports whether c is open and has nothing to say, as an idle connection should. An app may
// have closed it; or sent more than it announced, or a body where none may be, which would be taken
// for the next visitor's answer.
func (c *conn) quiet() bool {
	return c.br.Buffered() == 0 && c.probe.quiet(c.Conn)
}

// probe looks at a connection with one system call and no memory.
type probe struct {
	raw  syscall.RawConn
	read func(fd uintptr)
	open bool
}

func (p *probe) quiet(c net.Conn) bool {
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
			n, err := syscall.Read(int(fd), b[:]) // does not block: Go's sockets never do
			p.open = n < 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK)
		}
	}
	return p.raw.Control(p.read) == nil && p.open
}
