package router

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Router is an HTTP reverse proxy for the apps that it was given with Set. Fill in the fields, then
// call Run. Set and Remove may be called before, during and after Run. A zero duration or number
// means its default. The fields must not change after the first method call.
type Router struct {
	Addr     string       // host:port to listen on, such as ":8080"; port 0 picks a free port
	Listener net.Listener // used instead of Addr, e.g. for TLS; Run closes it
	Domain   string       // apps answer at <app>.<Domain>; default localhost
	Log      *slog.Logger // for warnings, rate-limited; default slog.Default()

	// TrustedProxies are proxies in front of this one. Their X-Forwarded-* fields are believed and
	// extended; those of others are replaced. Default: none.
	TrustedProxies []netip.Prefix

	// Greet is called with a connection of the plain door that begins with a zero byte, as no request
	// does. It reports whether a router in front of this one sends requests on it; what that says
	// about their clients is believed as it is. Otherwise the connection closes. It must bound how
	// long it waits for the client, and return when ctx ends. Default: there is none in front.
	Greet func(ctx context.Context, conn net.Conn) bool

	HTTPS *HTTPS // a second door, with TLS; nil: none

	HoldTimeout time.Duration // how long a request waits for an app to get a backend; default 15s
	HoldMax     int           // requests waiting per app; more get 503 at once; default 256

	// Dial connects to addr, one of the app's backends. It must return an error if something other
	// than the app listens there; the request then tries another backend or waits. It must be safe
	// for concurrent use and stop when ctx ends. Default: connect to whatever listens.
	Dial func(ctx context.Context, app, addr string) (net.Conn, error)

	// Alive reports whether whatever runs the backends still answers, such as a router behind this one.
	// While it does not, responses are not waited for any longer, and idle connections are not used. It
	// is asked for each request, and every AliveEvery while an app is silent. Default: it does.
	Alive      func() bool
	AliveEvery time.Duration // default 5s

	// AppLog returns where the lines of an app go; nil: nowhere. It is called once for each app that
	// Set makes known, and must not block. Default: nowhere for all.
	AppLog func(app string) AppLog

	// LogOwnAs, if not empty, keeps requests that an app has answered out of the log: a router behind
	// this one logs them. The lines of the others end with by=<LogOwnAs>.
	LogOwnAs string

	// Wake is called when a request arrives for a sleeping app, once per sleep. It must not block.
	// Default: do nothing.
	Wake func(app string)

	// how long a request waits for a waking app; at least HoldTimeout; default 1m
	WakeTimeout time.Duration

	// how long websockets and event streams outlive a switch; default 10s
	DrainTimeout time.Duration
	// how long a switch waits for requests; at least DrainTimeout; default 30s
	RequestDrain time.Duration
	// how long requests may take to finish once Run's ctx ends; default 10s
	StopTimeout time.Duration

	// from the first byte of a request to the end of its header; default 10s
	ReadHeaderTimeout time.Duration
	IdleTimeout       time.Duration // how long a client's idle connection is kept; default 3m
	// how long a client may send no byte of its body or accept no response data; default 1m
	StallTimeout    time.Duration
	ConnectTimeout  time.Duration // for a backend to accept a connection; default 5s
	ResponseTimeout time.Duration // for a backend to start its response; default 5m
	// how long one side may be silent after the other has closed; default 30s
	HalfCloseTimeout time.Duration
	// client connections; more wait in the kernel's queue; default 8192
	MaxConns int

	once      sync.Once
	domain    string // Domain in lower case
	throttled *throttledLog
	listener  net.Listener
	slots     chan struct{} // one value per client connection
	closing   chan struct{} // closed when Run's ctx ends: no more connections
	stopping  chan struct{} // closed when requests must end soon
	leaves    atomic.Bool   // another router takes over
	// counts requests at a backend but streams: those that have come since the last stop began
	flights atomic.Pointer[atomic.Int64]
	buffers buffers
	clients clientConns
	http2   *http2Server // nil without HTTPS
	share   fairShare

	mu    sync.Mutex      // held while apps or hosts change
	apps  map[string]*app // by name
	hosts hosts

	streamMu sync.Mutex
	// websockets and event streams, each with the function that ends it
	streams map[*exchange]func()
}

// keepAlive detects clients that disappeared silently while nothing is being sent to them.
var keepAlive = net.KeepAliveConfig{
	Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3,
}

const (
	maxHeaderBytes         = 64 << 10  // of a request; nginx allows 32 KiB, Node 16
	maxResponseHeaderBytes = 256 << 10 // of a response and its 1xx responses
)

func (r *Router) init() {
	r.once.Do(func() {
		r.HoldTimeout = cmp.Or(r.HoldTimeout, 15*time.Second)
		r.HoldMax = cmp.Or(r.HoldMax, 256)
		r.WakeTimeout = max(cmp.Or(r.WakeTimeout, time.Minute), r.HoldTimeout)
		r.DrainTimeout = cmp.Or(r.DrainTimeout, 10*time.Second)
		r.RequestDrain = max(cmp.Or(r.RequestDrain, 30*time.Second), r.DrainTimeout)
		r.StopTimeout = cmp.Or(r.StopTimeout, 10*time.Second)
		r.ReadHeaderTimeout = cmp.Or(r.ReadHeaderTimeout, 10*time.Second)
		r.IdleTimeout = cmp.Or(r.IdleTimeout, 3*time.Minute)
		r.StallTimeout = cmp.Or(r.StallTimeout, time.Minute)
		r.ConnectTimeout = cmp.Or(r.ConnectTimeout, 5*time.Second)
		r.ResponseTimeout = cmp.Or(r.ResponseTimeout, 5*time.Minute)
		r.AliveEvery = cmp.Or(r.AliveEvery, 5*time.Second)
		r.HalfCloseTimeout = cmp.Or(r.HalfCloseTimeout, 30*time.Second)
		r.MaxConns = cmp.Or(r.MaxConns, 8192)
		r.domain = cmp.Or(r.Domain, "localhost")
		if host, ok := parseHost(r.domain); ok {
			r.domain = host
		}
		if r.Log == nil {
			r.Log = slog.Default()
		}
		r.throttled = &throttledLog{log: r.Log}
		r.clients.all = map[*clientConn]struct{}{}
		r.share.max = int64(r.MaxConns)
		r.slots = make(chan struct{}, r.MaxConns)
		r.flights.Store(new(atomic.Int64))
		r.closing, r.stopping = make(chan struct{}), make(chan struct{})
		r.apps = map[string]*app{}
		r.streams = map[*exchange]func(){}
		r.hosts.primary, r.hosts.extra = map[string]*app{}, map[string][]*app{}
	})
}

// Listen opens the listener, so that Address is known and clients can queue before Run. Calling it
// is optional: Run calls it if needed.
func (r *Router) Listen() error {
	r.init()
	if r.listener = r.Listener; r.listener != nil {
		return nil
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive, Control: tcpUserTimeout(r.StallTimeout)}
	l, err := lc.Listen(context.Background(), "tcp", r.Addr)
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	r.listener = l
	return nil
}

// Address is the address that the router listens on, or nil before Listen.
func (r *Router) Address() net.Addr {
	if r.listener == nil {
		return nil
	}
	return r.listener.Addr()
}

func (r *Router) closeDoors() {
	r.listener.Close()
	if r.HTTPS != nil {
		r.HTTPS.Listener.Close()
	}
}

// Run serves requests until ctx ends. It goes on until the requests have ended that are at an app then,
// at most StopTimeout, so that one slow request does not shut out all others meanwhile. It then stops
// accepting connections, answers held requests with 503, closes websockets with status 1001 (going away), ends event streams, gives requests in
// flight StopTimeout to finish, breaks the remaining connections and returns nil. After Leave it
// first serves its connections for RequestDrain. Any other error comes from the listener. Run may be
// called once.
func (r *Router) Run(ctx context.Context) error {
	if r.listener == nil {
		if err := r.Listen(); err != nil {
			return err
		}
	}
	served := make(chan error, 2)
	doors := 1
	go func() { served <- r.accept(r.listener, nil) }()
	if r.HTTPS != nil {
		doors++
		r.http2 = r.newHTTP2Server()
		go r.http2.server.Serve(r.http2.conns) // until stop
		go func() { served <- r.accept(r.HTTPS.Listener, withHTTP2(r.HTTPS.TLS)) }()
	}
	select {
	case err := <-served:
		r.closeDoors()
		r.clients.abortAll()
		return fmt.Errorf("router: %w", err)
	case <-ctx.Done():
	}

	limit := time.Now().Add(r.StopTimeout)
	if !r.leaves.Load() {
		r.lastFlights(limit)
		close(r.stopping)
	}
	close(r.closing)
	r.closeDoors()
	for range doors {
		<-served
	}
	defer r.closeLogs()
	if r.http2 != nil {
		r.http2.stop()
	}
	ended := r.clients.done()
	if r.leaves.Load() {
		r.finish(ended)
		close(r.stopping)
		limit = time.Now().Add(r.StopTimeout)
	}
	r.cutStreams(nil)
	r.clients.closeIdle()
	timer := time.NewTimer(max(time.Until(limit), min(r.StopTimeout, time.Second)))
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		r.Log.Warn("stopping; breaking requests in flight", "in", r.StopTimeout)
		r.clients.abortAll()
		<-ended
	}
	return nil
}

// Leave lets Run, when its ctx ends, hand over to another router that accepts from the same sockets:
// websockets and requests that wait for an app go on, and a client's next request on its connection
// is served too.
func (r *Router) Leave() { r.leaves.Store(true) }

// finish serves the connections that there are, each to the end of a response, until all have ended
// or RequestDrain is over.
func (r *Router) finish(ended <-chan struct{}) {
	timer := time.NewTimer(r.RequestDrain)
	defer timer.Stop()
	look := time.NewTicker(idleWhenFull / 4)
	defer look.Stop()
	for {
		select {
		case <-ended:
			return
		case <-timer.C:
			return
		case <-look.C: // a client that is about to send a request has done so by then
			r.clients.closeServed(idleWhenFull)
		}
	}
}

// lastFlights blocks until the requests that are at an app now have ended, or limit.
func (r *Router) lastFlights(limit time.Time) {
	before := r.flights.Swap(new(atomic.Int64))
	for before.Load() > 0 && time.Now().Before(limit) {
		time.Sleep(5 * time.Millisecond)
	}
}

// closeLogs writes what the apps' logs wait for.
func (r *Router) closeLogs() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.apps {
		a.log.close()
	}
}
