package router

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// http2App is the response of an app that speaks HTTP/2 without TLS (h2c), as servers of gRPC do.
// net/http speaks the protocol, and has its own connections to each backend.
type http2App struct {
	resp   *http.Response
	cancel context.CancelCauseFunc
	// ends the request HalfCloseTimeout after the client has closed its side, unless the app sends
	// something; nil until then
	silence atomic.Pointer[time.Timer]
}

// close ends the stream if it has not ended.
func (a *http2App) close() {
	a.cancel(nil)
	a.resp.Body.Close()
}

// http2Transport returns what connects to the backend by HTTP/2.
func (p *connPool) http2Transport(r *Router, app string) *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.http2 == nil {
		var only http.Protocols
		only.SetUnencryptedHTTP2(true)
		p.http2 = &http.Transport{
			Protocols: &only, DisableCompression: true, IdleConnTimeout: maxIdleTime,
			MaxResponseHeaderBytes: maxResponseHeaderBytes,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := r.dial(ctx, app, p.addr)
				if err != nil {
					if ctx.Err() == nil {
						p.refusedAt.Store(monotonic())
					}
					return nil, &dialError{err}
				}
				p.refusedAt.Store(0)
				return c, nil
			},
		}
	}
	return p.http2
}

// roundTripHTTP2 is roundTrip for an app that speaks HTTP/2. The request's body and the response may
// be sent at the same time.
func (p *connPool) roundTripHTTP2(x *exchange) (*appResponse, error) {
	ctx, cancel := context.WithCancelCause(x.client.gone)
	timer := time.AfterFunc(x.router.ResponseTimeout, func() { cancel(errResponseTimeout) })
	answer := &http2App{cancel: cancel}
	ended := sync.OnceFunc(func() {
		answer.silence.Store(time.AfterFunc(x.router.HalfCloseTimeout, func() { cancel(nil) }))
	})
	if x.hangup.ended.Store(&ended); x.hangup.halfClosed.Load() { // while it was held
		ended()
	}
	body := &http2Body{x: x, timer: timer}
	in := x.req
	req := (&http.Request{
		Method: in.method, Host: in.authority, Header: http.Header{"User-Agent": nil}, // else it adds its own
		// net/http takes the target as it is from here
		URL: &url.URL{Scheme: "http", Host: "app", Opaque: "//" + in.authority + in.target},
	}).WithContext(ctx)
	writeFieldsTo(x, req.Header.Add)
	switch {
	case in.length == 0:
		x.watchForHangup()
	case x.body.buffered != nil:
		req.ContentLength, req.Body = in.length, io.NopCloser(bytes.NewReader(x.body.buffered))
		x.watchForHangup()
	default:
		req.ContentLength, req.Body = in.length, body
		req.Trailer = x.announcedTrailer()
		body.trailer = req.Trailer
		delete(req.Header, "Trailer") // net/http announces it
	}
	x.relayed = true
	resp, err := p.http2Transport(x.router, x.app.name).RoundTrip(req)
	bodyErr := body.stop()
	if err != nil {
		cause := context.Cause(ctx)
		cancel(nil)
		if cause == errResponseTimeout {
			return nil, cause
		}
		return nil, cmp.Or(bodyErr, err)
	}
	answer.resp = resp
	a := &appResponse{x: x, http2: answer, responseHead: &responseHead{
		status: resp.StatusCode, reason: http.StatusText(resp.StatusCode), header: fieldsOf(resp.Header),
		length: resp.ContentLength,
	}}
	if x.bodiless(resp.StatusCode) {
		a.length = 0
	}
	a.prepareBody()
	return a, nil
}

// announcedTrailer returns the names that the client has announced for the trailer of its request,
// without values. HTTP/2 has no others. Fields that an app must not get from clients are left out.
func (x *exchange) announcedTrailer() http.Header {
	names := slices.Clone(x.req.header.values("Trailer"))
	if s := x.client.stream; s != nil {
		names = slices.AppendSeq(names, maps.Keys(s.req.Trailer))
	}
	trailer := http.Header{}
	for _, list := range names {
		for name := range strings.SplitSeq(list, ",") {
			name = strings.Trim(name, " \t")
			if isToken(name) && !isFraming(name) && !isReserved(name) && !equalFold(name, "Forwarded") {
				trailer[http.CanonicalHeaderKey(name)] = nil
			}
		}
	}
	return trailer
}

// http2Body is the body of a request to an app that speaks HTTP/2. While it moves, the app may take
// its time to respond.
type http2Body struct {
	x       *exchange
	timer   *time.Timer
	trailer http.Header // gets its values when the body has ended

	mu       sync.Mutex
	answered bool  // the response has started
	err      error // of the client's body
}

func (b *http2Body) Read(p []byte) (int, error) {
	n, err := b.x.body.Read(p)
	b.mu.Lock()
	if !b.answered {
		b.timer.Reset(b.x.router.ResponseTimeout)
	}
	b.mu.Unlock()
	switch {
	case err == io.EOF:
		for _, f := range b.x.body.trailer {
			name := http.CanonicalHeaderKey(f.name)
			if _, announced := b.trailer[name]; announced {
				b.trailer.Add(name, f.value)
			}
		}
		b.x.watchForHangup() // until now, reading would have shown that the client left
	case err != nil:
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// stop stops the timer for good, and returns the error of the client's body.
func (b *http2Body) stop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = true
	b.timer.Stop()
	return b.err
}

func (b *http2Body) Close() error { return nil }

// read reads from the app's body. Before it waits, it flushes what was written to the client.
func (a *http2App) read(x *exchange, p []byte) (int, error) {
	if err := x.client.flush(); err != nil {
		return 0, err
	}
	n, err := a.resp.Body.Read(p)
	if t := a.silence.Load(); t != nil {
		t.Reset(x.router.HalfCloseTimeout)
	}
	return n, err
}

// bodyOfApp is the body of an app's response of HTTP/2.
type bodyOfApp struct{ *appResponse }

func (b bodyOfApp) Read(p []byte) (int, error) { return b.http2.read(b.x, p) }
