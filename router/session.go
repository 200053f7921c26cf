package router

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// session is one client's connection: requests and answers, one after the other.
//
// It takes the place of net/http's server, which shows a handler neither how a header was written
// nor whether two framings contradict each other, writes its own reason phrases, and mistakes a
// client that has closed its side for one that has left.
type session struct {
	router *Router
	conn   net.Conn
	tls    bool
	remote string // the client's IP address
	br     *bufio.Reader
	bw     *bufio.Writer
	raw    []byte // the header read last; memory for the next

	gone  context.Context // ends when the client is known to have gone
	leave context.CancelFunc
	app   atomic.Pointer[conn] // serves its request; nil: none does now

	waits   sync.Mutex
	since   int64 // when it began to wait for a request, on the clock of [clock]; 0: it serves one
	hurried bool  // another goroutine has set the deadline for reading
	readFor time.Duration
	readAt  time.Time // when the deadline for reading was set to readFor later
	writeAt time.Time // when the deadline for writing was set
}

var (
	readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}
)

// longAgo is a deadline that ends a Read or Write at once.
var longAgo = time.Unix(1, 0)

// run serves the client until it leaves, breaks a rule, or the router stops, and closes the
// connection.
func (s *session) run() {
	defer s.conn.Close()
	defer func() {
		if v := recover(); v != nil {
			s.router.quiet.warn("panic in the front door", "err", v, "stack", string(debug.Stack()))
			s.abort() // what the client has of its answer must not look whole
			s.giveUp()
		}
	}()
	defer s.leave()
	s.remote = s.conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(s.remote); err == nil {
		s.remote = host
	}
	if c, ok := s.conn.(*tls.Conn); ok {
		s.tls = true
		c.SetDeadline(time.Now().Add(s.router.ReadHeaderTimeout))
		if c.Handshake() != nil {
			return
		}
		c.SetDeadline(time.Time{})
	}
	s.br, s.bw = readers.Get().(*bufio.Reader), writers.Get().(*bufio.Writer)
	s.br.Reset(s.conn)
	s.bw.Reset(s.conn)
	defer func() {
		s.br.Reset(nil) // else the pools keep the connection
		s.bw.Reset(nil)
		readers.Put(s.br)
		writers.Put(s.bw)
	}()
	wait := s.router.ReadHeaderTimeout
	for s.await(wait) {
		x := &exchange{router: s.router, s: s}
		var err error
		x.in, s.raw, err = readRequest(s.br, s.raw)
		if err != nil {
			var f *faulty
			if errors.As(err, &f) {
				x.in = &clientRequest{minor: 1, length: -1, last: true}
				x.page(page{Status: f.status, Title: http.StatusText(f.status), Text: f.why})
				s.linger()
			}
			return
		}
		if !s.router.serve(x) {
			if x.linger || s.br.Buffered() > 0 {
				s.linger()
			}
			return
		}
		if cap(s.raw) > 8<<10 {
			s.raw = nil // one large header does not mean that others follow
		}
		wait = s.router.IdleTimeout
	}
}

// await waits for the beginning of a request, and reports whether one came.
func (s *session) await(wait time.Duration) bool {
	s.waits.Lock()
	s.since = clock()
	s.waits.Unlock()
	if s.br.Buffered() == 0 {
		s.readBy(wait)
		select {
		case <-s.router.stopping:
			s.hurry()
		default:
		}
	}
	_, err := s.br.Peek(1)
	s.waits.Lock()
	s.since = 0
	if s.hurried {
		s.hurried = false
		s.readUnset()
	}
	s.waits.Unlock()
	if err != nil {
		return false
	}
	there, _ := s.br.Peek(s.br.Buffered())
	if !bytes.Contains(bytes.TrimLeft(there, "\r\n"), []byte("\r\n\r\n")) { // its header is yet to come
		s.readBy(s.router.ReadHeaderTimeout)
	}
	return true
}

// lastCall is how long a connection that waits for a request may go on once it is not wanted any
// more: long enough for a request that has already arrived.
const lastCall = 50 * time.Millisecond

// hurry ends a wait for a request that has not arrived. Others may call it.
func (s *session) hurry() {
	s.waits.Lock()
	defer s.waits.Unlock()
	if s.since > 0 {
		s.hurried = true
		s.conn.SetReadDeadline(time.Now().Add(lastCall))
	}
}

// waitsSince is when it began to wait for a request; 0: it serves one. Others may call it.
func (s *session) waitsSince() int64 {
	s.waits.Lock()
	defer s.waits.Unlock()
	return s.since
}

// readBy sets the deadline for reading, unless almost the same one is set already.
func (s *session) readBy(d time.Duration) {
	now := time.Now()
	if d == s.readFor && now.Sub(s.readAt) < d/16 {
		return
	}
	s.readFor, s.readAt = d, now
	s.conn.SetReadDeadline(now.Add(d))
}

// readUnset is for those who set that deadline by themselves.
func (s *session) readUnset() { s.readFor = 0 }

// writeSoon gives the client StallTimeout to take what is written next.
func (s *session) writeSoon() {
	if now := time.Now(); now.Sub(s.writeAt) > s.router.StallTimeout/16 {
		s.writeAt = now
		s.conn.SetWriteDeadline(now.Add(s.router.StallTimeout))
	}
}

// flush sends what was written.
func (s *session) flush() error {
	if s.bw.Buffered() == 0 {
		return nil
	}
	s.writeSoon()
	return s.bw.Flush()
}

// abort closes the connection in a way that no client takes for the end of an answer: by a reset
// and, over TLS, without the alert that says goodbye. Others may call it.
func (s *session) abort() {
	c := s.conn
	if secret, ok := c.(*tls.Conn); ok {
		c = secret.NetConn()
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// giveUp ends whatever is done for the client. Others may call it.
func (s *session) giveUp() {
	s.leave()
	if c := s.app.Load(); c != nil {
		c.Close()
	}
}

// linger lets the client see its answer before the connection closes: bytes that nobody reads would
// make the kernel send a reset, which may overtake it (RFC 9112 section 9.6).
func (s *session) linger() {
	if s.flush() != nil {
		return
	}
	closeWrite(s.conn)
	s.conn.SetReadDeadline(time.Now().Add(swallow))
	io.Copy(io.Discard, s.conn)
}
