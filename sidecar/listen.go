package sidecar

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// maxConns is how many connections there are at once; later clients wait. Strangers can reach the
	// port, and this process needs open files for polling and deploying too.
	maxConns = 256
	wrapUp   = 5 * time.Second
)

// Listen opens Addr, so that its caller learns at once if that fails. Run serves it. With a Listener
// it opens nothing, and without an Addr it does nothing.
func (s *Sidecar) Listen() error {
	if s.Addr == "" {
		return nil
	}
	l := s.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", s.Addr); err != nil {
			return err
		}
	}
	s.listener = netutil.LimitListener(l, maxConns)
	return nil
}

// Address is where the sidecar listens; nil if it does not.
func (s *Sidecar) Address() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

func (s *Sidecar) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	mux.HandleFunc("POST /hooks/{app}", s.serveHook)
	return mux
}

// serve serves until ctx ends; requests under way then get a few seconds.
func (s *Sidecar) serve(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       15 * time.Second, // git hosts themselves wait no longer
		WriteTimeout:      25 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), wrapUp)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	}()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-shut // Serve returns as soon as Shutdown begins
	return nil
}
