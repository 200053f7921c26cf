package router

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A visitor whose machine has gone without a word is found out, whether or not something is being
// sent to it.
func TestDeadClientsAreFound(t *testing.T) {
	r := &Router{StallTimeout: 40 * time.Second}
	addr := start(t, r)
	dial(t, addr)
	var s *session
	until(t, "accepted", func() bool {
		r.sessions.mu.Lock()
		defer r.sessions.mu.Unlock()
		for s = range r.sessions.all {
		}
		return s != nil
	})
	raw, err := s.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[[2]int]int{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 1, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}: 30, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}: 10,
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}: 3, {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: 40_000,
	} {
		raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), name[0], name[1]); err != nil || got != want {
				t.Errorf("option %v: %d %v, want %d", name, got, err, want)
			}
		})
	}
}
