package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"paas/limiter"
)

// Identity is the holder of a token.
type Identity struct {
	Name  string     // of the person
	Token string     // what the token is called; it does not tell the secret
	From  netip.Addr // the client's address
}

// Tokens maps secrets to their holders.
type Tokens interface {
	// Lookup is called for each request, so that a revoked token stops working at once. The error
	// is for the person at the client.
	Lookup(secret string, from netip.Addr) (Identity, error)
}

// Git serves git clients.
type Git interface {
	// Admit returns an error, for the person at the client, if who may not push to the app and fetch
	// it: [NoApp] if there is none, or none for this client.
	Admit(who Identity, app string) error

	// Serve blocks until q is served and returns git's exit status. ctx ends when the client
	// leaves, or when the server stops and DrainTimeout is over.
	Serve(ctx context.Context, who Identity, q Request) int
}

// NoApp is the error for an app that is not there for the client.
type NoApp struct{ Err error }

func (e NoApp) Error() string { return e.Err.Error() }

// Request is what a git client asks for.
type Request struct {
	Service  string // "git-receive-pack" or "git-upload-pack"
	App      string
	Protocol string // the client's Git-Protocol
	Listing  bool   // only which references there are

	Stdin          io.Reader // git's input
	Stdout, Stderr io.Writer
}

// Server is the HTTP server. The fields without a default must be set.
type Server struct {
	// Listener has connections of a front door, whose X-Real-Ip and X-Forwarded-Proto are believed.
	// It must limit how long a client may send or read nothing.
	Listener net.Listener
	Tokens   Tokens
	Git      Git
	AppName  func(name string) error // returns an error, for people, if a name is invalid
	MaxInput int64                   // bytes of a request after it is decompressed
	// MaxRequests is how many requests are served at once; those of one person may be half of them.
	// More wait in a queue.
	MaxRequests int

	Log          *slog.Logger  // default slog.Default()
	DrainTimeout time.Duration // for running requests when the server stops; default 30s
	QueueTimeout time.Duration // to wait in the queue; default 30s

	failures failures
	slots    *limiter.Limiter[string] // by the person's name
}

// cancelGrace is how long cancelled requests may take to end.
const cancelGrace = 2 * time.Second

// Run serves until ctx ends. Then it accepts nothing new, waits up to DrainTimeout for requests
// under way, cancels the remaining ones, and returns nil. It returns an error if the listener
// fails, or if a cancelled request does not end. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	s.Log = cmp.Or(s.Log, slog.Default())
	s.QueueTimeout = cmp.Or(s.QueueTimeout, 30*time.Second)
	s.slots = limiter.New[string](s.MaxRequests)
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than a front door keeps its connections
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelError),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.Listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	shutdown := func(limit time.Duration) error {
		limited, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer stop()
		return server.Shutdown(limited)
	}
	drain := cmp.Or(s.DrainTimeout, 30*time.Second)
	if shutdown(drain) == nil {
		return nil
	}
	s.Log.Warn("requests did not end in time; cancelling them", "after", drain)
	cancel()
	if shutdown(cancelGrace) == nil {
		return nil
	}
	return errors.Join(errors.New("a cancelled request did not end"), server.Close())
}

// visitor returns the client's address and whether its connection is encrypted.
func visitor(r *http.Request) (addr netip.Addr, encrypted bool) {
	addr, _ = netip.ParseAddr(r.Header.Get("X-Real-Ip"))
	return addr.Unmap(), r.Header.Get("X-Forwarded-Proto") == "https"
}
