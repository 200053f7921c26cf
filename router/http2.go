package router

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"paas/inproc"
)

// http2Server serves the connections whose clients chose HTTP/2 in the TLS handshake. net/http
// speaks the protocol: frames, flow control, header compression, and what limits floods of resets
// and continuations. Each stream is an exchange, like a request of HTTP/1. Websockets are left to
// HTTP/1: net/http offers them over HTTP/2 (RFC 8441) only if GODEBUG says http2xconnect=1 when the
// process starts, so browsers open another connection.
type http2Server struct {
	server http.Server
	conns  *inproc.Listener
	of     sync.Map // *clientConn by its net.Conn
}

const (
	maxStreams    = 128       // of a connection
	receiveBuffer = 256 << 10 // bytes that a connection may send before an app reads them
)

// clientKey is the key of a request's *clientConn in its context.
type clientKey struct{}

func (r *Router) newHTTP2Server() *http2Server {
	h := &http2Server{conns: inproc.New()}
	var only http.Protocols
	only.SetHTTP2(true)
	h.server = http.Server{
		Handler: http.HandlerFunc(r.serveStream), Protocols: &only, IdleTimeout: r.IdleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: log.New(io.Discard, "", 0), // clients cause lines at will
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, WriteByteTimeout: r.StallTimeout,
			MaxReceiveBufferPerConnection: receiveBuffer, MaxReceiveBufferPerStream: receiveBuffer,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			cc, _ := h.of.Load(c)
			return context.WithValue(ctx, clientKey{}, cc)
		},
		ConnState: h.connState,
	}
	return h
}

// withHTTP2 returns config with HTTP/2 as the first choice.
func withHTTP2(config *tls.Config) *tls.Config {
	config = config.Clone()
	protocols := []string{"h2"}
	if !slices.Contains(config.NextProtos, "http/1.1") {
		protocols = append(protocols, "http/1.1")
	}
	config.NextProtos = append(protocols, config.NextProtos...)
	return config
}

// run serves a connection until it ends.
func (h *http2Server) run(cc *clientConn) {
	cc.ended = make(chan struct{})
	h.of.Store(cc.conn, cc)
	defer h.of.Delete(cc.conn)
	if h.conns.HandOver(cc.conn) {
		<-cc.ended
	}
}

// connState notes which connections are idle, and which have ended.
func (h *http2Server) connState(c net.Conn, state http.ConnState) {
	found, ok := h.of.Load(c)
	if !ok {
		return
	}
	cc := found.(*clientConn)
	switch state {
	case http.StateIdle:
		cc.idleMu.Lock()
		cc.idleSince = monotonic()
		cc.idleMu.Unlock()
	case http.StateActive:
		cc.asked.Store(true)
		cc.idleMu.Lock()
		if cc.idleSince = 0; cc.closing {
			cc.closing = false
			cc.conn.SetReadDeadline(time.Time{})
		}
		cc.idleMu.Unlock()
	case http.StateClosed:
		close(cc.ended)
	}
}

// stop tells clients to send no more requests. Requests in flight go on.
func (h *http2Server) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // it does not wait
	h.server.Shutdown(ctx)
}

// stream is a request of HTTP/2 and its response. The goroutine of its exchange uses it.
type stream struct {
	req     *http.Request
	w       http.ResponseWriter
	control *http.ResponseController

	unflushed bool
	aborted   bool // the client must not take the response for complete

	readDeadlineSet, writeDeadlineSet time.Time
}

// serveStream responds to one request.
func (r *Router) serveStream(w http.ResponseWriter, req *http.Request) {
	conn := req.Context().Value(clientKey{}).(*clientConn)
	s := &stream{req: req, w: w, control: http.NewResponseController(w)}
	defer func() {
		v := recover()
		if v != nil {
			r.throttled.warn("panic while serving a request", "err", v, "stack", string(debug.Stack()))
		}
		if v != nil || s.aborted {
			panic(http.ErrAbortHandler) // resets the stream
		}
	}()
	client := &clientConn{
		router: r, conn: conn.conn, tls: true, remote: conn.remote, trusted: conn.trusted,
		serverName: conn.serverName, stream: s, gone: req.Context(), leave: func() {},
	}
	x := &exchange{router: r, client: client}
	var bad *requestError
	if x.req, bad = requestOf(req); bad != nil {
		x.page(page{Status: bad.status, Title: http.StatusText(bad.status), Text: bad.why})
		return
	}
	r.serve(x)
}

// requestOf returns what HTTP/1 has for req, whose fields net/http has checked (RFC 9113, section 8).
// It refuses what a request line cannot express, and lengths that two servers could read in two
// ways.
func requestOf(req *http.Request) (*clientRequest, *requestError) {
	r := &clientRequest{
		method: req.Method, target: req.RequestURI, authority: req.Host, minor: 1, length: req.ContentLength,
		header: make(header, 0, len(req.Header)),
	}
	asterisk := r.target == "*" && r.method == http.MethodOptions
	if !isToken(r.method) || !isTarget(r.target) ||
		r.target[0] != '/' && !asterisk && r.method != http.MethodConnect {
		return r, badRequest("The request is malformed.")
	}
	if hosts := req.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && !equalFold(hosts[0], r.authority) {
		return r, badRequest("The Host header is not the authority.") // RFC 9113, section 8.3.1
	}
	for name, values := range req.Header {
		for _, value := range values {
			if len(r.header) == maxFields {
				return r, headerTooLong
			}
			if !isToken(name) || !isValue(value, false) {
				return r, badRequest("The header is malformed.")
			}
			r.header = append(r.header, field{name, value})
		}
	}
	switch lengths := req.Header["Content-Length"]; {
	case len(lengths) == 1 && lengths[0] == strconv.FormatInt(r.length, 10):
		r.hasLength = true
	case len(lengths) > 0:
		return r, badRequest("The Content-Length is not a number, or not that of the body.")
	}
	return r, nil
}

// extendReadDeadline gives the client d to send the next part of the body.
func (s *stream) extendReadDeadline(d time.Duration) {
	if now := time.Now(); now.Sub(s.readDeadlineSet) > d/16 {
		s.readDeadlineSet = now
		s.control.SetReadDeadline(now.Add(d))
	}
}

// extendWriteDeadline gives the client d to accept the next part of the response.
func (s *stream) extendWriteDeadline(d time.Duration) {
	if now := time.Now(); now.Sub(s.writeDeadlineSet) > d/16 {
		s.writeDeadlineSet = now
		s.control.SetWriteDeadline(now.Add(d))
	}
}

// informational sends a 1xx response. Of 100 (Continue) net/http takes care.
func (s *stream) informational(x *exchange, in *responseHead) {
	if in.status == http.StatusContinue {
		return
	}
	h := s.w.Header()
	x.eachField(in, true, h.Add)
	s.w.WriteHeader(in.status)
	clear(h)
}

// start sends the header of the final response, with the first part of the body or at the next
// flush.
func (s *stream) start(x *exchange, in *responseHead, unsized bool) {
	h := s.w.Header()
	x.eachField(in, unsized, h.Add)
	if _, there := h["Content-Type"]; !there {
		h["Content-Type"] = nil // else net/http guesses one
	}
	s.unflushed = true
	s.w.WriteHeader(in.status)
}

func (s *stream) write(p []byte) error {
	s.unflushed = true
	_, err := s.w.Write(p)
	return err
}

func (s *stream) flush() error {
	if !s.unflushed {
		return nil
	}
	s.unflushed = false
	return s.control.Flush()
}

// end sends the trailer, if there is one. The stream itself ends with its handler.
func (s *stream) end(trailer header) {
	for _, f := range trailer {
		if !isFraming(f.name) {
			s.w.Header().Add(http.TrailerPrefix+f.name, f.value)
		}
	}
}

// watch calls leave once the client has left, until stop is called. stop returns when leave does not
// run any more.
func (s *stream) watch(leave func()) (stop func()) {
	done := make(chan struct{})
	cancel := context.AfterFunc(s.req.Context(), func() { defer close(done); leave() })
	return func() {
		if !cancel() {
			<-done
		}
	}
}

// fieldsOf returns the fields of a trailer that net/http has read.
func fieldsOf(h http.Header) (fields header) {
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, field{name, value})
		}
	}
	return fields
}
