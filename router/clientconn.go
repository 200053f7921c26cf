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
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// clientConn is a client's connection. It serves one request after another.
//
// net/http's server is not used here. It hides from its handlers how a header was spelled and
// whether two lengths contradict each other, it writes its own reason phrases, and it treats a
// client that has closed its side as one that has left.
type clientConn struct {
	router *Router
	conn   net.Conn
	tls    bool
	// the name that the client asked for in the TLS handshake, in lower case; empty: none
	serverName string
	remote     string // the IP address of the client, or of the proxy in front

	trusted bool          // it is a trusted proxy
	front   bool          // it is a front, see [Router.Greet]
	stream  *stream       // of HTTP/2: the clientConn stands for it alone; nil: HTTP/1
	ended   chan struct{} // closed once a connection of HTTP/2 has ended

	br  *bufio.Reader
	bw  *bufio.Writer
	raw []byte // the header read last; reused as a buffer

	// of the current request and its response; nil for HTTP/2
	requestFields, responseFields *fieldBuffer

	gone  context.Context // done when the client has left
	leave context.CancelFunc
	// the connection to the app that serves the current request, or nil
	app atomic.Pointer[appConn]

	asked  atomic.Bool // it has sent a request
	idleMu sync.Mutex
	// [monotonic] time at which it began to wait for a request; 0 while serving one
	idleSince        int64
	headerSince      int64 // the same, while a part of a request's header has come; else 0
	closing          bool  // closeIfIdle or closeIfSilent has set the read deadline
	readTimeout      time.Duration
	readTimeoutSet   time.Time // when the read deadline was set to readTimeout later
	writeDeadlineSet time.Time // when the write deadline was set
}

var (
	readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}
	fields  = sync.Pool{New: func() any { return new(fieldBuffer) }}
)

// aLongTimeAgo is a deadline that makes a Read or Write return at once.
var aLongTimeAgo = time.Unix(1, 0)

// run serves requests until the client leaves or sends a malformed request, or the router stops.
// It closes the connection.
func (cc *clientConn) run() {
	defer cc.conn.Close()
	defer func() {
		if v := recover(); v != nil {
			cc.router.throttled.warn("panic while serving a request", "err", v,
				"stack", string(debug.Stack()))
			cc.abort() // else the client could take a partial response for a complete one
			cc.abandon()
		}
	}()
	defer cc.leave()
	cc.remote = cc.conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(cc.remote); err == nil {
		cc.remote = host
	}
	if len(cc.router.TrustedProxies) > 0 {
		ip, err := netip.ParseAddr(cc.remote)
		cc.trusted = err == nil && cc.router.Trusts(ip)
	}
	if c, ok := cc.conn.(*tls.Conn); ok {
		cc.tls = true
		if cc.greet(c) != nil {
			return
		}
		if c.ConnectionState().NegotiatedProtocol == "h2" {
			cc.router.http2.run(cc)
			return
		}
	}
	cc.br, cc.bw = readers.Get().(*bufio.Reader), writers.Get().(*bufio.Writer)
	cc.br.Reset(cc.conn)
	cc.bw.Reset(cc.conn)
	cc.requestFields, cc.responseFields = fields.Get().(*fieldBuffer), fields.Get().(*fieldBuffer)
	defer func() {
		cc.dropFields()
		fields.Put(cc.requestFields)
		fields.Put(cc.responseFields)
		cc.br.Reset(nil) // else the pools keep the connection alive
		cc.bw.Reset(nil)
		readers.Put(cc.br)
		writers.Put(cc.bw)
	}()
	wait := cc.router.ReadHeaderTimeout
	for cc.await(wait) {
		if first, _ := cc.br.Peek(1); first[0] == 0 && cc.router.Greet != nil && !cc.front && !cc.tls {
			cc.headerCame()
			if cc.front = cc.greetFront(); !cc.front {
				return
			}
			wait = cc.router.IdleTimeout
			continue
		}
		x := &exchange{router: cc.router, client: cc}
		var err error
		x.req, cc.raw, err = readRequest(cc.br, cc.raw, cc.requestFields)
		if err != nil {
			var f *requestError
			if errors.As(err, &f) {
				x.req = &clientRequest{minor: 1, length: -1, closeAfter: true}
				x.page(page{Status: f.status, Title: http.StatusText(f.status), Text: f.why})
				cc.linger()
			}
			return
		}
		cc.headerCame()
		if x.req.length != 0 { // what sends the body may read the header for longer than the exchange
			cc.requestFields = fields.Get().(*fieldBuffer)
		}
		cc.router.serve(x)
		cc.dropFields()
		if cc.flush() != nil || x.resp.closeAfter {
			if x.linger || cc.br.Buffered() > 0 {
				cc.linger()
			}
			return
		}
		if cap(cc.raw) > 8<<10 {
			cc.raw = nil // most headers are small: do not keep a large buffer
		}
		wait = cc.router.IdleTimeout
	}
}

// dropFields lets go of the text of the last headers.
func (cc *clientConn) dropFields() {
	clear(cc.requestFields[:])
	clear(cc.responseFields[:])
}

// greetFront reports whether the client is a front, and requests follow.
func (cc *clientConn) greetFront() bool {
	ctx, cancel := context.WithCancel(cc.gone)
	defer cancel()
	go func() {
		select {
		case <-cc.router.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer cc.forgetReadTimeout()
	return cc.router.Greet(ctx, begun{cc.conn, cc.br})
}

// begun is a connection of which br may have read something already.
type begun struct {
	net.Conn
	br *bufio.Reader
}

func (b begun) Read(p []byte) (int, error) { return b.br.Read(p) }

// await waits for the first byte of a request and reports whether it came.
func (cc *clientConn) await(wait time.Duration) bool {
	cc.idleMu.Lock()
	cc.idleSince = monotonic()
	cc.idleMu.Unlock()
	if cc.br.Buffered() == 0 {
		cc.setReadTimeout(wait)
		select {
		case <-cc.router.stopping:
			cc.closeIfIdle()
		default:
		}
	}
	_, err := cc.br.Peek(1)
	there, _ := cc.br.Peek(cc.br.Buffered())
	complete := bytes.Contains(bytes.TrimLeft(there, "\r\n"), []byte("\r\n\r\n"))
	cc.idleMu.Lock()
	defer cc.idleMu.Unlock()
	since := cc.idleSince
	if cc.notSilent(); err != nil {
		return false
	}
	cc.asked.Store(true)
	if !complete {
		cc.headerSince = since
		cc.setReadTimeout(cc.router.ReadHeaderTimeout)
	}
	return true
}

// headerCame notes that nothing is missing from the client.
func (cc *clientConn) headerCame() {
	if cc.headerSince > 0 { // only this goroutine changes it
		cc.idleMu.Lock()
		defer cc.idleMu.Unlock()
		cc.notSilent()
	}
}

// notSilent notes that the client has sent something. The caller holds idleMu.
func (cc *clientConn) notSilent() {
	cc.idleSince, cc.headerSince = 0, 0
	if cc.closing {
		cc.closing = false
		cc.forgetReadTimeout()
	}
}

// idleGrace is how long an idle connection stays open once it should close: long enough to read a
// request that has already arrived.
const idleGrace = 50 * time.Millisecond

// closeIfIdle closes the connection soon unless a request arrives. Safe for concurrent use.
func (cc *clientConn) closeIfIdle() {
	cc.idleMu.Lock()
	defer cc.idleMu.Unlock()
	if cc.idleSince > 0 {
		cc.closing = true
		cc.conn.SetReadDeadline(time.Now().Add(idleGrace))
	}
}

// waitingSince returns idleSince. Safe for concurrent use.
func (cc *clientConn) waitingSince() int64 {
	cc.idleMu.Lock()
	defer cc.idleMu.Unlock()
	return cc.idleSince
}

// silentSince returns since when the client could have sent a whole header, or 0 if it has. Safe for
// concurrent use.
func (cc *clientConn) silentSince() int64 {
	cc.idleMu.Lock()
	defer cc.idleMu.Unlock()
	return max(cc.idleSince, cc.headerSince)
}

// closeIfSilent closes the connection soon unless a whole header arrives. Safe for concurrent use.
func (cc *clientConn) closeIfSilent() {
	cc.idleMu.Lock()
	defer cc.idleMu.Unlock()
	if cc.idleSince > 0 || cc.headerSince > 0 {
		cc.closing = true
		cc.conn.SetReadDeadline(time.Now().Add(idleGrace))
	}
}

// setReadTimeout sets the read deadline, unless nearly the same deadline is set already.
func (cc *clientConn) setReadTimeout(d time.Duration) {
	now := time.Now()
	if d == cc.readTimeout && now.Sub(cc.readTimeoutSet) < d/16 {
		return
	}
	cc.readTimeout, cc.readTimeoutSet = d, now
	cc.conn.SetReadDeadline(now.Add(d))
}

// forgetReadTimeout must be called after setting the read deadline in any other way.
func (cc *clientConn) forgetReadTimeout() { cc.readTimeout = 0 }

// extendWriteDeadline gives the client StallTimeout to accept the next write.
func (cc *clientConn) extendWriteDeadline() {
	if cc.stream != nil {
		cc.stream.extendWriteDeadline(cc.router.StallTimeout)
		return
	}
	if now := time.Now(); now.Sub(cc.writeDeadlineSet) > cc.router.StallTimeout/16 {
		cc.writeDeadlineSet = now
		cc.conn.SetWriteDeadline(now.Add(cc.router.StallTimeout))
	}
}

// flush sends what is buffered.
func (cc *clientConn) flush() error {
	if cc.stream != nil {
		return cc.stream.flush()
	}
	if cc.bw.Buffered() == 0 {
		return nil
	}
	cc.extendWriteDeadline()
	return cc.bw.Flush()
}

// abort closes the connection so that no client can take it for the end of a response: with a TCP
// reset and without TLS's close_notify. A stream of HTTP/2 is reset when its exchange is over. Safe
// for concurrent use, except for a stream.
func (cc *clientConn) abort() {
	if cc.stream != nil {
		cc.stream.aborted = true
		return
	}
	c := cc.conn
	if secret, ok := c.(*tls.Conn); ok {
		c = secret.NetConn()
	}
	if tcp, ok := unwrap(c).(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// abandon cancels the work done for the client. Safe for concurrent use.
func (cc *clientConn) abandon() {
	cc.leave()
	if c := cc.app.Load(); c != nil {
		c.Close()
	}
}

// linger lets the client read its response before the connection closes. Closing with unread input
// would send a reset, which can overtake the response (RFC 9112 section 9.6).
func (cc *clientConn) linger() {
	if cc.flush() != nil {
		return
	}
	closeWrite(cc.conn)
	cc.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	io.Copy(io.Discard, cc.conn)
}
