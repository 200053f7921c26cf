package sidecar

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	maxConns = 256 // at once; who comes later waits
	wrapUp   = 5 * time.Second
)

// Listen opens Addr, so that whoever starts the sidecar learns at once that it cannot be had. Run
// serves it. With no Addr it does nothing.
func (s *Sidecar) Listen() error {
	if s.Addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	s.listener = crowd{l, make(chan struct{}, maxConns)}
	return nil
}

// Address is where the sidecar listens; nil where it does not.
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

// serve answers until ctx ends; requests under way then get a moment.
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

// crowd lets only so many connections in at once: strangers can reach the port, and the files of
// this process are also for looking and deploying.
type crowd struct {
	net.Listener
	in chan struct{}
}

func (c crowd) Accept() (net.Conn, error) {
	c.in <- struct{}{} // the timeouts of those who are in free a place
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.in
		return nil, err
	}
	return guest{conn, sync.OnceFunc(func() { <-c.in })}, nil
}

type guest struct {
	net.Conn
	leave func()
}

func (g guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
