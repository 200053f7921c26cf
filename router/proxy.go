package router

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// exchange is one request on its way through. It is the ReverseProxy's Transport as well, so that
// a second try can go to another process.
type exchange struct {
	router *Router
	app    *app
	in     *http.Request // as the client sent it; net/http fills in its Trailer
	id     string
	ctl    *http.ResponseController
	body   clientBody

	inst      atomic.Pointer[instance] // where it is counted; nil: nowhere
	heldSince time.Time                // zero: was not held
	holdUntil time.Time                //
	redial    time.Duration
	retried   bool
	stale     *instance // closed a kept connection on it; nil: none did
	tunnel    *tunnel   // after 101
	hijacked  bool      // there is no answer to write any more
}

// enter counts x among the users of i, and reports whether i still takes any.
func (x *exchange) enter(i *instance) bool {
	if !i.enter() {
		return false
	}
	x.inst.Store(i)
	return true
}

// leave ends what enter began, once.
func (x *exchange) leave() {
	if i := x.inst.Swap(nil); i != nil {
		x.app.used.Store(clock()) // first: an app without users has been so since then
		i.leave()
	}
}

// serve answers one request: by the app of its host, or by a page.
func (r *Router) serve(w http.ResponseWriter, req *http.Request) {
	host, ok := parseHost(req.Host)
	if !ok {
		r.page(w, req, badHost())
		return
	}
	if req.Method == http.MethodConnect || req.Method == http.MethodTrace {
		// CONNECT would make us an open proxy; TRACE shows scripts the cookies they may not read.
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		r.page(w, req, badMethod())
		return
	}
	if host == r.domain && r.Root != nil {
		r.Root.ServeHTTP(w, req)
		return
	}
	a := r.hosts.find(host)
	if a == nil {
		if host == r.domain && req.URL.Path == "/" {
			r.page(w, req, rootPage(host))
		} else {
			r.page(w, req, noApp(host))
		}
		return
	}
	r.forward(w, req, a, host)
}

func (r *Router) forward(w http.ResponseWriter, req *http.Request, a *app, host string) {
	x := &exchange{router: r, app: a, in: req, id: requestID(req), ctl: http.NewResponseController(w)}
	upgrade := req.Header["Upgrade"] != nil
	if req.ContentLength != 0 {
		if upgrade {
			// Switching while a body is still under way cannot be done in order, and a server may
			// ignore Upgrade (RFC 9110 section 7.8).
			req.Header.Del("Upgrade")
			upgrade = false
		}
		x.body = clientBody{src: req.Body, ctl: x.ctl, stall: r.StallTimeout, gone: make(chan struct{})}
		req2 := *req // net/http looks at its own request's body
		req2.Body = &x.body
		req = &req2
		defer x.body.end()
		// A small body is read before a process is asked for: a slow client then holds neither
		// the process's connection nor a drain.
		if 0 < req.ContentLength && req.ContentLength <= bufferSize && req.Header["Expect"] == nil {
			buf := r.buffers.Get()
			defer r.buffers.Put(buf)
			if err := x.body.prefetch(buf[:req.ContentLength]); err != nil {
				x.refuse(w, req, host, err)
				return
			}
		}
	}
	if err := a.enter(req.Context(), x, false); err != nil {
		x.refuse(w, req, host, err)
		return
	}
	defer x.leave()
	if upgrade {
		w = &upgradeWriter{ResponseWriter: w, x: x}
		defer x.endUpgrade()
	}
	proxy := httputil.ReverseProxy{
		Transport:      x,
		BufferPool:     &r.buffers,
		Rewrite:        x.rewrite,
		ModifyResponse: x.modify,
		ErrorLog:       r.errorLog,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			x.refuse(w, req, host, err)
		},
	}
	proxy.ServeHTTP(w, req)
}

// rewrite makes the request that the app sees: the client's, with its Host, and with what we know
// about the client in place of what it says.
func (x *exchange) rewrite(p *httputil.ProxyRequest) {
	h := p.Out.Header
	for name := range h {
		if isOurs(name) {
			delete(h, name)
		}
	}
	p.SetXForwarded()
	h["X-Forwarded-Port"] = []string{portOf(p.In.Host, p.In.TLS != nil)}
	h["X-Request-Id"] = []string{x.id}
	p.Out.Host = p.In.Host
}

// isOurs reports whether only we may say this to an app: X-Forwarded-* and X-Real-Ip, also with
// underscores, which CGI, WSGI and PHP take for hyphens; X-Request-Id, said anew; and Proxy, which
// those turn into HTTP_PROXY (CVE-2016-5385). Forwarded is ReverseProxy's to remove.
func isOurs(name string) bool {
	if len(name) < 5 || name[0]|0x20 != 'x' && name[0]|0x20 != 'p' {
		return false
	}
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	return strings.HasPrefix(name, "x-forwarded-") || name == "x-real-ip" || name == "x-request-id" || name == "proxy"
}

// requestID is the client's X-Request-Id where it is harmless in a log, else a random one.
func requestID(req *http.Request) string {
	id := req.Header.Get("X-Request-Id")
	if 0 < len(id) && len(id) <= 128 && strings.IndexFunc(id, func(c rune) bool {
		return c != '-' && c != '_' && c != '.' && (c < '0' || '9' < c) && (c < 'A' || 'Z' < c) && (c < 'a' || 'z' < c)
	}) < 0 {
		return id
	}
	return strconv.FormatUint(rand.Uint64(), 16)
}

// modify sees the answer before the client does.
func (x *exchange) modify(resp *http.Response) error {
	if x.in.ContentLength != 0 && !x.body.ended() {
		// The app answered before it had the whole body. net/http would now swallow what is left
		// of it, unless the connection is to be closed.
		resp.Header.Set("Connection", "close")
	}
	if ans, ok := resp.Body.(*answer); ok && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		ans.stream = true
		x.router.addStream(x, ans.cut)
	}
	return nil
}

// RoundTrip sends the request to the process it is counted at. Where nobody accepts the connection
// it tries another one, or waits and tries again, until the hold deadline: nothing was sent, so any
// method may. Where a kept connection turns out to be closed it tries once more, elsewhere if it can,
// if the request has no body and its method is idempotent (RFC 9110 section 9.2.2).
func (x *exchange) RoundTrip(out *http.Request) (*http.Response, error) {
	for {
		i := x.inst.Load()
		resp, err := i.up.roundTrip(out, x)
		var refused *dialError
		switch {
		case err == nil:
			return resp, nil
		case errors.Is(err, errSlowClient), errors.Is(err, errBadBody):
			return nil, err
		case out.Context().Err() != nil:
			return nil, out.Context().Err()
		case errors.As(err, &refused):
			x.leave()
			if held := x.app.enter(out.Context(), x, true); held != nil {
				if errors.Is(held, errHoldOver) {
					x.router.quiet.warn("nobody listens", "app", x.app.name, "addr", i.addr, "err", refused.err)
				}
				return nil, held
			}
		case errors.Is(err, errStale) && !x.retried && x.in.ContentLength == 0 && idempotent(out.Method):
			x.retried, x.stale = true, i
			x.leave() // the process may just have been switched
			if err := x.app.enter(out.Context(), x, false); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// endUpgrade closes the app's side also where ReverseProxy found fault with its 101.
func (x *exchange) endUpgrade() {
	x.router.dropStream(x)
	if x.tunnel != nil {
		x.tunnel.Close()
	}
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
