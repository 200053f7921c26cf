package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// site is the web process of an app of static files: a listener and a goroutine in this process.
type site struct {
	addr   string
	server *http.Server
	stop   sync.Once
	cut    context.CancelFunc // ends the wait for requests in flight
	ended  chan struct{}      // closed when that wait is over
	done   chan struct{}
	err    error // after done
}

func (l *Local) startSite(spec Spec) (Process, error) {
	tree, err := os.OpenRoot(spec.Tree)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	files, err := tree.OpenRoot(spec.Built.Static) // a link that leaves the tree is refused
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	port, err := l.takePort()
	if err != nil {
		files.Close()
		return nil, err
	}
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		l.freePort(port)
		files.Close()
		return nil, err
	}
	s := &site{addr: loopback(port), ended: make(chan struct{}), done: make(chan struct{}), server: &http.Server{
		Handler: siteFiles{files},
		// No limit for a whole answer: a large file may take a slow visitor an hour.
		ReadTimeout:    10 * time.Second,
		IdleTimeout:    90 * time.Second, // longer than a front door keeps its connections
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(l.Log.Handler(), slog.LevelDebug),
	}}
	go func() {
		if err := s.server.Serve(listener); errors.Is(err, http.ErrServerClosed) {
			<-s.ended
		} else {
			s.err = err
		}
		files.Close()
		l.freePort(port)
		close(s.done)
	}()
	return s, nil
}

func (s *site) PID() int              { return 0 }
func (s *site) Addr() string          { return s.addr }
func (s *site) Done() <-chan struct{} { return s.done }
func (s *site) Err() error            { return s.err }

func (s *site) Stop(grace time.Duration) {
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
