package router

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// exchange is one request and its response.
type exchange struct {
	router    *Router
	client    *clientConn
	app       *app // nil if no app has the request's host
	req       *clientRequest
	requestID string
	origin
	body *clientBody // nil if there is none

	began        int64                   // [monotonic] time when its header was complete
	waited       time.Duration           // for a backend
	backend      atomic.Pointer[backend] // where x is counted as in flight; nil if nowhere
	waitingSince time.Time               // zero if x was never held
	holdUntil    time.Time               // end of the hold time
	redialDelay  time.Duration
	flights      *atomic.Int64 // where it is counted; nil: nowhere
	retried      bool
	avoid        *backend // it closed an idle connection that x tried to use; may be nil

	hangup hangupWatch
	resp   responseState

	isEventStream atomic.Bool
	// a client that closes its side has left: it reads an event stream, or it is git
	leavesAtEOF atomic.Bool

	user    string // who logged in, as the app's rules demand; empty: they do not
	maxBody int64  // bytes, by the app's rules; 0: no limit

	linger bool // the client is still sending

	// the request was sent to the app, and the router has not answered by itself
	relayed bool
}

// acquire counts x as in flight at b. It returns false if b is retired.
func (x *exchange) acquire(b *backend) bool {
	if !b.acquire() {
		return false
	}
	x.flights = x.router.flights.Load()
	x.flights.Add(1)
	x.backend.Store(b)
	return true
}

// land lets a stop not wait for x any more before it closes the doors.
func (x *exchange) land() {
	if x.flights != nil {
		x.flights.Add(-1)
		x.flights = nil
	}
}

// release undoes acquire. Calling it again is harmless.
func (x *exchange) release() {
	if b := x.backend.Swap(nil); b != nil {
		x.land()
		x.app.lastUsed.Store(monotonic()) // first: Sleep reads it once nothing is in flight
		b.release()
	}
}

// serve responds to one request, through the app of its host or with a page.
func (r *Router) serve(x *exchange) {
	x.findOrigin()
	host, ok := parseHost(x.req.authority)
	if ok {
		x.app = r.hosts.find(host)
	}
	if x.app != nil {
		x.began = monotonic()
		if x.requestID = x.req.requestID(); x.requestID == "" {
			x.requestID = strconv.FormatUint(rand.Uint64(), 16)
		}
	}
	x.answer(host, ok)
	if x.app != nil {
		x.app.log.add(x)
	}
}

// answer responds to a request for host; ok is false if that is no host name.
func (x *exchange) answer(host string, ok bool) {
	switch {
	case !ok:
		x.page(badHost)
	case x.req.method == http.MethodConnect || x.req.method == http.MethodTrace:
		// CONNECT would make us an open proxy. TRACE shows scripts cookies that they may not read.
		x.page(badMethod)
	case x.answersChallenge(host):
	case x.misdirected(host):
		x.page(misdirected)
	case x.app == nil && host == x.router.domain && x.req.path() == "/":
		x.page(rootPage(host))
	case x.app == nil:
		x.page(noApp(host))
	default:
		if url := x.elsewhere(host); url != "" {
			x.redirect(url)
		} else {
			x.forward(host)
		}
	}
}

// forward sends the request to the app and copies its response to the client.
func (x *exchange) forward(host string) {
	r := x.router
	if err := x.app.check(x); err != nil {
		x.refuse(host, err)
		return
	}
	if !r.share.acquire(x.app) {
		x.refuse(host, errOverShare)
		return
	}
	defer r.share.release(x.app)
	defer x.stopWatching()
	if x.req.length != 0 {
		x.body = newClientBody(x)
		defer x.stopBody()
		// Read a small body before acquiring a backend: a slow client then neither occupies one of
		// its connections nor delays a drain.
		if n := x.req.length; 0 < n && n <= bufferSize && !x.req.expectsContinue {
			buf := r.buffers.Get()
			defer r.buffers.Put(buf)
			if err := x.body.prefetch(buf[:n]); err != nil {
				x.refuse(host, err)
				return
			}
		}
	}
	err := x.app.acquire(x.client.gone, x, false)
	for err == errUnknown { // it was removed: perhaps its host is another app's now
		next := r.hosts.find(host)
		if next == nil || next == x.app {
			break
		}
		x.app = next
		if err = x.app.check(x); err == nil {
			err = x.app.acquire(x.client.gone, x, false)
		}
	}
	if err != nil {
		x.refuse(host, err)
		return
	}
	defer x.release()
	ans, err := x.roundTrip()
	if err != nil {
		x.refuse(host, err)
		return
	}
	if ans.serveTunnel() {
		return
	}
	x.copyResponse(ans)
}

// stopBody stops reading the body. If the client is still sending, the connection cannot be reused.
func (x *exchange) stopBody() {
	if x.body.stop(); !x.body.complete() {
		x.linger, x.resp.closeAfter = true, true
	}
}

// roundTrip sends the request to the acquired backend. If the backend refuses the connection,
// nothing was sent, so roundTrip tries others until the hold time is over, for any method. If an
// idle connection turns out to be closed, it retries once, on another backend if there is one, if
// the request has no body and its method is idempotent (RFC 9110 section 9.2.2).
func (x *exchange) roundTrip() (*appResponse, error) {
	for {
		b := x.backend.Load()
		ans, err := b.pool.roundTrip(x)
		var refused *dialError
		switch {
		case err == nil:
			return ans, nil
		case errors.Is(err, errBodyTimeout), errors.Is(err, errBadBody), errors.Is(err, errTooLarge):
			return nil, err
		case x.client.gone.Err() != nil:
			return nil, x.client.gone.Err()
		case errors.As(err, &refused):
			x.release()
			if waitErr := x.app.acquire(x.client.gone, x, true); waitErr != nil {
				if errors.Is(waitErr, errHoldTimeout) {
					x.router.throttled.warn("cannot connect to the app", "app", x.app.name,
						"addr", b.addr, "err", refused.err)
				}
				return nil, waitErr
			}
		case errors.Is(err, errIdleClosed), errors.Is(err, errStale) && !x.retried &&
			x.req.length == 0 && idempotent(x.req.method):
			x.retried, x.avoid = errors.Is(err, errStale), b
			x.release() // the backend may just have been retired
			if err := x.app.acquire(x.client.gone, x, false); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// hangupWatch detects that the client disconnects before its response has started. That takes a
// goroutine that reads from the client, so it begins only after hangupWatchDelay.
type hangupWatch struct {
	mu      sync.Mutex
	stopped bool // no watch may begin any more
	// closed when the watching goroutine has ended; nil if none was started
	done        chan struct{}
	ended       atomic.Pointer[func()] // called when halfClosed becomes true; may be nil
	unwatch     func()                 // ends the watch of a stream of HTTP/2; nil if none was started
	halfClosed  atomic.Bool            // the client has closed its side; it may still read the response
	halfClosedC chan struct{}          // closed when halfClosed becomes true; nil if no watch was started
}

// hangupWatchDelay is how long a response may take before the client is watched.
const hangupWatchDelay = 50 * time.Millisecond

// watchForHangup starts watching the client, unless it is watched already or its body is not read
// yet. The channel closes when the client has closed its side; it may be nil.
func (x *exchange) watchForHangup() <-chan struct{} {
	w := &x.hangup
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.done != nil || x.bodyPending() {
		return w.halfClosedC
	}
	if s := x.client.stream; s != nil {
		if w.unwatch == nil {
			w.unwatch = s.watch(x.client.abandon)
		}
		return nil
	}
	w.done, w.halfClosedC = make(chan struct{}), make(chan struct{})
	x.client.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(w.done)
		br := x.client.br
		var err error
		for err == nil && br.Buffered() < br.Size() { // read past pipelined requests
			_, err = br.Peek(br.Buffered() + 1)
		}
		switch {
		case isTimeout(err): // stopWatching set the deadline
		case err == nil, err == io.EOF && !x.leavesAtEOF.Load():
			// It has closed its side, or sent so many requests that a close would go unnoticed.
			w.halfClosed.Store(true)
			close(w.halfClosedC)
			if f := w.ended.Load(); f != nil {
				(*f)()
			}
			if c := x.client.app.Load(); c != nil {
				c.updateReadDeadline(x)
			}
		default: // the connection broke, or the client has left
			x.client.abandon()
		}
	}()
	return w.halfClosedC
}

// stopWatching ends the watch for good. It returns when no goroutine reads from the client.
func (x *exchange) stopWatching() {
	w := &x.hangup
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.unwatch != nil {
		w.unwatch()
		w.unwatch = nil
	}
	if w.done != nil {
		x.client.conn.SetReadDeadline(aLongTimeAgo)
		<-w.done
		w.done = nil
		x.client.forgetReadTimeout()
	}
}
