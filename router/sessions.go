package router

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// sessions are the connections of all clients.
type sessions struct {
	mu      sync.Mutex
	all     map[*session]struct{}
	running sync.WaitGroup
}

// accept serves the connections that the gate lets in, until the gate is closed.
func (r *Router) accept() error {
	wait := time.Duration(0)
	for {
		c, err := r.gate.Accept(func() { r.sessions.hurry(spare) })
		if err != nil {
			var again interface{ Temporary() bool }
			if errors.Is(err, net.ErrClosed) || !errors.As(err, &again) || !again.Temporary() {
				return err
			}
			// Too many open files, or a client that left early: no reason to stop.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			r.quiet.warn("accept", "err", err, "again", wait)
			select {
			case <-time.After(wait):
			case <-r.stopping:
			}
			continue
		}
		wait = 0
		s := &session{router: r, conn: c}
		s.gone, s.leave = context.WithCancel(context.Background())
		r.sessions.add(s)
		go func() {
			defer r.gate.release()
			defer r.sessions.remove(s)
			s.run()
		}()
	}
}

func (s *sessions) add(one *session) {
	s.running.Add(1)
	one.since = clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[one] = struct{}{}
}

func (s *sessions) remove(one *session) {
	s.mu.Lock()
	delete(s.all, one)
	s.mu.Unlock()
	s.running.Done()
}

// ended closes when the last session has ended. No others may begin.
func (s *sessions) ended() <-chan struct{} {
	all := make(chan struct{})
	go func() {
		s.running.Wait()
		close(all)
	}()
	return all
}

// spare is how long a connection may wait for a request while others wait to be accepted.
const spare = time.Second

// hurry has the connection closed that has waited longest for a request, if it has waited for idle
// or longer. An idle of 0 has all closed that wait.
func (s *sessions) hurry(idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest *session
	first := clock() - int64(idle)
	for one := range s.all {
		since := one.waitsSince()
		if since > 0 && idle == 0 {
			one.hurry()
		} else if since > 0 && since <= first {
			oldest, first = one, since
		}
	}
	if oldest != nil {
		oldest.hurry()
	}
}

// abortAll breaks all connections, and those to the apps that serve them.
func (s *sessions) abortAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.all {
		one.abort()
		one.giveUp()
	}
}
