package router

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Router serves the apps it was told about. Fill in the fields, then Run; Set and Remove work
// before, during and after Run. A zero duration or number means its default. The fields must not
// change after the first call of a method.
type Router struct {
	Addr     string       // where to listen, host:port, such as ":8080"; port 0 picks a free one
	Listener net.Listener // listens instead of Addr, e.g. with TLS; Run closes it
	Domain   string       // apps answer at <app>.<Domain>; default localhost
	Log      *slog.Logger // errors only, rate-limited; default slog.Default()

	HoldTimeout time.Duration // how long a request waits for an app without a live process; default 15s
	HoldMax     int           // requests waiting per app; further ones get 503 at once; default 256

	// Dial connects to addr, one of the app's. It returns an error, after which the request goes elsewhere or waits, where
	// what listens there is not the app. It must be safe for concurrent use and heed ctx. nil: connects to
	// whatever listens.
	Dial func(ctx context.Context, app, addr string) (net.Conn, error)

	Wake        func(app string) // called when a request meets an app that is asleep, once until it is so again; must not block; nil: nobody is told
	WakeTimeout time.Duration    // how long a request waits for an app that was asleep; at least HoldTimeout; default 1m

	DrainTimeout time.Duration // what websockets and event streams get after a switch; default 10s
	RequestDrain time.Duration // how long a switch waits for requests in flight; at least DrainTimeout; default 30s
	StopTimeout  time.Duration // what requests in flight get when Run's context ends; default 10s

	ReadHeaderTimeout time.Duration // from a request's first byte to the end of its header; default 10s
	IdleTimeout       time.Duration // how long a client's unused connection is kept; default 3m
	StallTimeout      time.Duration // how long a client may neither send a byte of its body nor take 32 KiB of the answer; default 60s
	ConnectTimeout    time.Duration // for the app to accept a connection; default 5s
	ResponseTimeout   time.Duration // for the app to begin its answer; default 5m
	HalfCloseTimeout  time.Duration // how long either side may be silent once the other has closed its own; default 30s
	MaxConns          int           // clients' connections; further ones wait in the kernel's queue; default 8192

	once     sync.Once
	domain   string // Domain, checked
	quiet    *quiet
	listener net.Listener
	gate     *gate
	stopping chan struct{} // closed when Run's context ends
	buffers  buffers
	sessions sessions
	crowd    crowd

	mu    sync.Mutex      // held by those who change apps or hosts
	apps  map[string]*app // by name
	hosts hosts

	streamMu sync.Mutex
	streams  map[*exchange]func() // websockets and event streams, each with what ends it
}

const (
	maxHeaderBytes = 64 << 10  // of a request; nginx takes 32 KiB, node 16
	maxAnswerBytes = 256 << 10 // header of an answer, 1xx included
)

func (r *Router) init() {
	r.once.Do(func() {
		r.HoldTimeout = or(r.HoldTimeout, 15*time.Second)
		r.HoldMax = or(r.HoldMax, 256)
		r.WakeTimeout = max(or(r.WakeTimeout, time.Minute), r.HoldTimeout)
		r.DrainTimeout = or(r.DrainTimeout, 10*time.Second)
		r.RequestDrain = max(or(r.RequestDrain, 30*time.Second), r.DrainTimeout)
		r.StopTimeout = or(r.StopTimeout, 10*time.Second)
		r.ReadHeaderTimeout = or(r.ReadHeaderTimeout, 10*time.Second)
		r.IdleTimeout = or(r.IdleTimeout, 3*time.Minute)
		r.StallTimeout = or(r.StallTimeout, time.Minute)
		r.ConnectTimeout = or(r.ConnectTimeout, 5*time.Second)
		r.ResponseTimeout = or(r.ResponseTimeout, 5*time.Minute)
		r.HalfCloseTimeout = or(r.HalfCloseTimeout, 30*time.Second)
		r.MaxConns = or(r.MaxConns, 8192)
		r.domain = or(r.Domain, "localhost")
		if host, ok := parseHost(r.domain); ok {
			r.domain = host
		}
		if r.Log == nil {
			r.Log = slog.Default()
		}
		r.quiet = &quiet{log: r.Log}
		r.sessions.all = map[*session]struct{}{}
		r.crowd.max = int64(r.MaxConns)
		r.stopping = make(chan struct{})
		r.apps = map[string]*app{}
		r.streams = map[*exchange]func(){}
		r.hosts.own, r.hosts.further = map[string]*app{}, map[string][]*app{}
	})
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Listen opens the listener, so that Address is known and clients queue before Run. Optional:
// Run does it otherwise.
func (r *Router) Listen() error {
	r.init()
	l := r.Listener
	if l == nil {
		var err error
		lc := net.ListenConfig{KeepAliveConfig: keepAlive, Control: giveUpAfter(r.StallTimeout)}
		if l, err = lc.Listen(context.Background(), "tcp", r.Addr); err != nil {
			return fmt.Errorf("router: %w", err)
		}
	}
	r.listener = l
	r.gate = newGate(l, r.MaxConns)
	return nil
}

// Address is where the router listens; nil before Listen.
func (r *Router) Address() net.Addr {
	if r.listener == nil {
		return nil
	}
	return r.listener.Addr()
}

// Run serves until ctx ends. Then it stops accepting, answers held requests with 503, closes
// websockets with 1001 (going away) and event streams, gives requests in flight StopTimeout to
// finish, cuts what is left and returns nil. Any other error is the listener's. It runs once.
func (r *Router) Run(ctx context.Context) error {
	if r.listener == nil {
		if err := r.Listen(); err != nil {
			return err
		}
	}
	served := make(chan error, 1)
	go func() { served <- r.accept() }()
	select {
	case err := <-served:
		r.gate.Close()
		r.sessions.abortAll()
		return fmt.Errorf("router: %w", err)
	case <-ctx.Done():
	}

	close(r.stopping)
	r.gate.Close()
	<-served
	r.cutStreams(nil)
	r.sessions.hurry(0)
	patience := time.NewTimer(r.StopTimeout)
	defer patience.Stop()
	ended := r.sessions.ended()
	select {
	case <-ended:
	case <-patience.C:
		r.Log.Warn("stopping; requests in flight are cut", "in", r.StopTimeout)
		r.sessions.abortAll()
		<-ended
	}
	return nil
}
