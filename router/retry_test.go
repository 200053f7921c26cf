package router

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const ok2 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

// dropper starts a process that answers the first request on each connection and closes the
// connection when the second arrives. It counts the requests.
func dropper(t *testing.T, seen *atomic.Int64) string {
	return startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for first := true; ; first = false {
			if _, err := readHead(br); err != nil {
				return
			}
			seen.Add(1)
			if !first {
				return
			}
			io.WriteString(c, ok2)
		}
	})
}

// If an idle connection ends without a response, idempotent requests without a body are sent once
// more. All others are not, because the app may have acted on them.
func TestRetryOnStaleConnection(t *testing.T) {
	for _, c := range []struct {
		method, body string
		status       int
	}{
		{"GET", "", 200}, {"HEAD", "", 200}, {"DELETE", "", 200}, {"OPTIONS", "", 200},
		{"POST", "", 502}, {"PATCH", "", 502}, {"PUT", "x", 502}, {"POST", "x", 502},
	} {
		r := &Router{}
		addr := start(t, r)
		var seen atomic.Int64
		r.Set("blog", routeTo(dropper(t, &seen)))
		get(t, addr, "blog.localhost") // leaves an idle connection
		resp, _ := do(t, client(t), request(t, c.method, addr, "blog.localhost", "/",
			strings.NewReader(c.body)))
		want := int64(2) // the first one and this one
		if c.status == 200 {
			want++
		}
		if resp.StatusCode != c.status || seen.Load() != want {
			t.Errorf("%s %q: %s after %d requests, want %d after %d", c.method, c.body, resp.Status,
				seen.Load(), c.status, want)
		}
	}
}

// If a new connection ends without a response, the request is not retried: the app has read it.
func TestNoRetryOnNewConnection(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	var seen atomic.Int64
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			seen.Add(1)
		}
	})))
	if s, _ := get(t, addr, "blog.localhost"); s != 502 || seen.Load() != 1 {
		t.Errorf("%d after %d requests", s, seen.Load())
	}
}

// If the app closes an idle connection, the next request of any method notices before it is sent.
func TestIdleConnectionClosedByApp(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	gone := make(chan struct{}, 10)
	hang := make(chan struct{})
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		if _, err := readHead(bufio.NewReader(c)); err == nil {
			io.WriteString(c, ok2)
			<-hang
			c.Close()
			gone <- struct{}{}
		}
	})))
	get(t, addr, "blog.localhost")
	close(hang)
	<-gone
	resp, _ := do(t, client(t),
		request(t, "POST", addr, "blog.localhost", "/", strings.NewReader("x")))
	if resp.StatusCode != 502 && resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if resp.StatusCode == 502 {
		t.Error("sent on a closed connection")
	}
}

// Connections are reused last in, first out, and expire before Node's five seconds.
func TestIdleConnections(t *testing.T) {
	if maxIdleTime >= 5*time.Second {
		t.Fatal("node closes first")
	}
	a, b := net.Pipe()
	defer b.Close()
	u := &connPool{}
	one, two := &appConn{Conn: a, pool: u}, &appConn{Conn: a, pool: u}
	u.put(one)
	u.put(two)
	if u.pop() != two {
		t.Error("the newest connection is not reused first")
	}
	if u.pop() != one {
		t.Error("the older connection is not reused second")
	}
	if u.pop() != nil {
		t.Error("a third connection was reused")
	}
	u.put(one)
	u.idle[0].idleSince = time.Now().Add(-maxIdleTime)
	if u.pop() != nil {
		t.Error("used an expired connection")
	}
	u.expire()
	if u.idle != nil {
		t.Error("kept an expired connection")
	}
	if _, err := a.Write(nil); err != io.ErrClosedPipe {
		t.Errorf("not closed: %v", err)
	}

	r := &Router{}
	addr := start(t, r)
	var conns atomic.Int64
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		conns.Add(1)
		br := bufio.NewReader(c)
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			if strings.HasPrefix(head, "POST") {
				br.Discard(2)
			}
			io.WriteString(c, ok2)
		}
	})))
	for range 20 {
		get(t, addr, "blog.localhost")
		do(t, client(t), request(t, "POST", addr, "blog.localhost", "/", strings.NewReader("xx")))
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
}
