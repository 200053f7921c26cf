package site

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Server serves the files below Root at one address, in this process. Fill in the fields, then call
// Start.
type Server struct {
	Root *os.Root // closed at the end
	Log  *slog.Logger
	Gone func() // called when it serves no more, before Done closes; nil: not called

	server *http.Server
	stop   sync.Once
	cut    context.CancelFunc // ends the wait for requests in flight
	ended  chan struct{}      // closed when that wait is over
	done   chan struct{}
	err    error // set before done closes
}

// Start serves connections from l until Stop. It does not block.
func (s *Server) Start(l net.Listener) {
	s.ended, s.done = make(chan struct{}), make(chan struct{})
	s.server = &http.Server{
		Handler: files{s.Root},
		// no limit for a whole response: a large file may take a slow visitor an hour
		ReadTimeout:    10 * time.Second,
		IdleTimeout:    90 * time.Second, // longer than the router keeps its connections
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := s.server.Serve(l); errors.Is(err, http.ErrServerClosed) {
			<-s.ended
		} else {
			s.err = err
		}
		s.Root.Close()
		if s.Gone != nil {
			s.Gone()
		}
		close(s.done)
	}()
}

// Exited is the same as Done.
func (s *Server) Exited() <-chan struct{} { return s.done }

// Done is closed when nothing is served any more.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why it ended without Stop. Valid after Done.
func (s *Server) Err() error { return s.err }

// Stop gives requests in flight the grace to finish, then cuts them. It blocks until nothing is
// served.
func (s *Server) Stop(grace time.Duration) {
	s.stop.Do(func() {
		var ctx context.Context
		ctx, s.cut = context.WithCancel(context.Background())
		go func() {
			s.server.Shutdown(ctx)
			close(s.ended)
		}()
	})
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		s.server.Close()
		s.cut()
		<-s.done
	}
}
