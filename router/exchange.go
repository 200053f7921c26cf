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

// exchange is one request on its way through, and its answer on the way back.
type exchange struct {
	router *Router
	s      *session
	app    *app // nil: the answer is a page that belongs to none
	in     *clientRequest
	id     string
	body   *clientBody // nil: the request has none

	inst      atomic.Pointer[instance] // where it is counted; nil: nowhere
	heldSince time.Time                // zero: was not held
	holdUntil time.Time                //
	redial    time.Duration
	retried   bool
	stale     *instance // closed a kept connection on it; nil: none did

	watch watch
	reply reply

	streams atomic.Bool // the answer is an event stream

	linger bool // the client is still sending
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

// serve answers one request, by the app of its host or by a page, and reports whether another may
// follow on the connection.
func (r *Router) serve(x *exchange) bool {
	host, ok := parseHost(x.in.authority)
	switch {
	case !ok:
		x.page(badHost())
	case x.in.method == http.MethodConnect || x.in.method == http.MethodTrace:
		// CONNECT would make us an open proxy; TRACE shows scripts the cookies they may not read.
		x.page(badMethod())
	default:
		if x.app = r.hosts.find(host); x.app != nil {
			x.forward(host)
		} else if host == r.domain && x.in.path() == "/" {
			x.page(rootPage(host))
		} else {
			x.page(noApp(host))
		}
	}
	return x.s.flush() == nil && !x.reply.last
}

// forward has the app answer.
func (x *exchange) forward(host string) {
	r := x.router
	if x.id = x.in.id(); x.id == "" {
		x.id = strconv.FormatUint(rand.Uint64(), 16)
	}
	if !r.crowd.enter(x.app) {
		x.refuse(host, errCrowd)
		return
	}
	defer r.crowd.leave(x.app)
	defer x.unwatch()
	if x.in.length != 0 {
		x.body = newClientBody(x)
		defer x.endBody()
		// A small body is read before a process is asked for: a slow client then holds neither
		// the process's connection nor a drain.
		if n := x.in.length; 0 < n && n <= bufferSize && !x.in.expect {
			buf := r.buffers.Get()
			defer r.buffers.Put(buf)
			if err := x.body.prefetch(buf[:n]); err != nil {
				x.refuse(host, err)
				return
			}
		}
	}
	if err := x.app.enter(x.s.gone, x, false); err != nil {
		x.refuse(host, err)
		return
	}
	defer x.leave()
	ans, err := x.ask()
	if err != nil {
		x.refuse(host, err)
		return
	}
	if ans.tunnel() {
		return
	}
	x.pass(ans)
}

// endBody sees to it that nobody reads from the client any more. A client that is still sending
// cannot ask for anything else.
func (x *exchange) endBody() {
	if x.body.end(); !x.body.ended() {
		x.linger, x.reply.last = true, true
	}
}

// ask sends the request to the process it is counted at. Where nobody accepts the connection it
// tries another one, or waits and tries again, until the hold deadline: nothing was sent, so any
// method may. Where a kept connection turns out to be closed it tries once more, elsewhere if it
// can, if the request has no body and its method is idempotent (RFC 9110 section 9.2.2).
func (x *exchange) ask() (*answer, error) {
	for {
		i := x.inst.Load()
		ans, err := i.up.roundTrip(x)
		var refused *dialError
		switch {
		case err == nil:
			return ans, nil
		case errors.Is(err, errSlowClient), errors.Is(err, errBadBody):
			return nil, err
		case x.s.gone.Err() != nil:
			return nil, x.s.gone.Err()
		case errors.As(err, &refused):
			x.leave()
			if held := x.app.enter(x.s.gone, x, true); held != nil {
				if errors.Is(held, errHoldOver) {
					x.router.quiet.warn("cannot connect to the app", "app", x.app.name, "addr", i.addr, "err", refused.err)
				}
				return nil, held
			}
		case errors.Is(err, errLeft):
			x.stale = i
			x.leave()
			if err := x.app.enter(x.s.gone, x, false); err != nil {
				return nil, err
			}
		case errors.Is(err, errStale) && !x.retried && x.in.length == 0 && idempotent(x.in.method):
			x.retried, x.stale = true, i
			x.leave() // the process may just have been switched
			if err := x.app.enter(x.s.gone, x, false); err != nil {
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

// watch looks out for a client that leaves while its answer is awaited. Reading is the only way to
// learn of it, and takes a goroutine, so that fast answers go without.
type watch struct {
	mu    sync.Mutex
	over  bool          // nobody may begin any more
	ended chan struct{} // closed when nobody reads any more; nil: nobody has begun
	half  atomic.Bool   // the client has closed its side; it may be waiting for the answer
	told  chan struct{} // closed when half becomes true; nil: nobody has begun
}

// watchAfter is how long an answer may take before somebody watches whether the client still waits.
const watchAfter = 50 * time.Millisecond

// beginWatch reads ahead from the client, unless a watch has begun already or the body is still to
// come. The channel closes when the client has closed its side; it may be nil.
func (x *exchange) beginWatch() <-chan struct{} {
	w := &x.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.ended != nil || x.unread() {
		return w.told
	}
	w.ended, w.told = make(chan struct{}), make(chan struct{})
	x.s.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(w.ended)
		br := x.s.br
		var err error
		for err == nil && br.Buffered() < br.Size() { // past requests that the client has sent already
			_, err = br.Peek(br.Buffered() + 1)
		}
		switch {
		case isTimeout(err): // unwatch
		case err == nil, err == io.EOF && !x.streams.Load():
			// It has closed its side, or sent so much more that nobody would see it do so.
			w.half.Store(true)
			close(w.told)
			if c := x.s.app.Load(); c != nil {
				c.readOn(x)
			}
		default: // a client that closes while it listens to an event stream has left; the app may want to know
			x.s.giveUp()
		}
	}()
	return w.told
}

// unwatch ends the watch for good, and returns when nobody reads from the client any more.
func (x *exchange) unwatch() {
	w := &x.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.ended != nil {
		x.s.conn.SetReadDeadline(longAgo)
		<-w.ended
		w.ended = nil
		x.s.readUnset()
	}
}
