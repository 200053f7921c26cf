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

// Server answers with the files below Root at one address: a listener and a goroutine in this
// process. Fill in the fields, then Start.
type Server struct {
	Root *os.Root // closed at the end
	Log  *slog.Logger
	Gone func() // called when it serves no more, before Done closes; nil: nothing to do

	server *http.Server
	stop   sync.Once
	cut    context.CancelFunc // ends the wait for requests in flight
	ended  chan struct{}      // closed when that wait is over
	done   chan struct{}
	err    error // after done
}

// Start serves what l accepts until Stop.
func (s *Server) Start(l net.Listener) {
	s.ended, s.done = make(chan struct{}), make(chan struct{})
	s.server = &http.Server{
		Handler: files{s.Root},
		// No limit for a whole answer: a large file may take a slow visitor an hour.
		ReadTimeout:    10 * time.Second,
		IdleTimeout:    90 * time.Second, // longer than a front door keeps its connections
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

// Exited is Done: nothing is left to do after it.
func (s *Server) Exited() <-chan struct{} { return s.done }

// Done is closed when nothing is served any more.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says after Done why it ended, where nobody stopped it.
func (s *Server) Err() error { return s.err }

// Stop lets requests in flight end for grace, then cuts them. It blocks until nothing is served.
func (s *Server) Stop(grace time.Duration) {
	s.stop.Do(func() {
		var ctx context.Context
		ctx, s.cut = context.WithCancel(context.Background())
		go func() {
			s.server.Shutdown(ctx)
			close(s.ended)
		}()
	})
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-s.done:
	case <-patience.C:
		s.server.Close()
		s.cut()
		<-s.done
	}
}
