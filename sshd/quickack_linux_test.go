package sshd

import (
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// spiedListener counts the reads of its connections, and those that begin while the kernel may
// delay acknowledgements.
type spiedListener struct {
	net.Listener
	reads, held atomic.Int64
}

func (l *spiedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &spiedConn{conn.(*net.TCPConn), l}, nil
}

type spiedConn struct {
	*net.TCPConn
	listener *spiedListener
}

func (c *spiedConn) Read(p []byte) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	quick := 0
	if raw.Control(func(fd uintptr) {
		quick, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK)
	}) == nil && err == nil {
		c.listener.reads.Add(1)
		if quick == 0 {
			c.listener.held.Add(1)
		}
	}
	return c.TCPConn.Read(p)
}

// While a session waits for its client, no acknowledgement is delayed.
func TestQuickAck(t *testing.T) {
	var spied *spiedListener
	w := serve(t, func(s *Server) {
		inner, err := net.Listen("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		spied = &spiedListener{Listener: inner}
		s.Listener = spied
	})
	client := w.dial(w.alice)
	for range 20 { // after some small packets in both directions the kernel begins to delay
		if got := w.run(client, "whoami"); got.status != 0 {
			t.Fatalf("%+v", got)
		}
	}
	// A reply sent just before a read carries the acknowledgement and resets the option. Without
	// the option four of five reads would count.
	if reads, held := spied.reads.Load(), spied.held.Load(); reads < 40 || held > reads/2 {
		t.Errorf("in %d of %d reads the kernel may hold acknowledgements back", held, reads)
	}
}
