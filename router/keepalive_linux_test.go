package router

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A client that disappears silently is detected, whether or not something is being sent to it.
func TestKeepAliveOptions(t *testing.T) {
	r := &Router{StallTimeout: 40 * time.Second}
	addr := start(t, r)
	dial(t, addr)
	var s *clientConn
	waitFor(t, "accepted", func() bool {
		r.clients.mu.Lock()
		defer r.clients.mu.Unlock()
		for s = range r.clients.all {
		}
		return s != nil
	})
	raw, err := s.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[[2]int]int{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 1, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}: 30,
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}:    10,
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}:      3,
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: 40_000,
	} {
		raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), name[0], name[1]); err != nil ||
				got != want {
				t.Errorf("option %v: %d %v, want %d", name, got, err, want)
			}
		})
	}
}

// If a client's machine loses power, both sides of its websocket and its event stream are closed,
// although nobody sends anything.
func TestDeadClientsAreDisconnected(t *testing.T) {
	usual := keepAlive
	keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second,
		Count: 1}
	t.Cleanup(func() { keepAlive = usual }) // after the router, which reads it, has ended
	r := &Router{}
	addr := start(t, r)
	told := make(chan struct{}, 2)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		if head, _ := readHead(br); strings.Contains(head, "Upgrade") {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
				"Connection: Upgrade\r\n\r\n")
		} else {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		}
		br.ReadByte()
		told <- struct{}{}
	})))
	for _, upgrade := range []string{"Connection: Upgrade\r\nUpgrade: websocket\r\n", ""} {
		c, br := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n"+upgrade+"\r\n")
		if _, err := readHead(br); err != nil {
			t.Fatal(err)
		}
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { // closes without a FIN
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
		})
		if err != nil {
			t.Skipf("only root can have a connection vanish: %v", err)
		}
		c.Close()
		waitClosed(t, "the app told", told)
	}
	waitFor(t, "all given back",
		func() bool { return len(r.slots) <= 1 && r.share.inProgress.Load() == 0 })
}
