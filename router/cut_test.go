package router

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// If an event stream is ended before its announced length, the connection ends too; otherwise the
// client would take the next response for the rest of this one.
func TestCutStreamWithLength(t *testing.T) {
	r := &Router{DrainTimeout: time.Millisecond}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"+
			"Content-Length: 1000\r\n\r\ndata: 1\n\n")
		br.ReadByte()
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\nGET /next HTTP/1.1\r\n"+
		"Host: blog.localhost\r\n\r\n")
	if _, err := readHead(br); err != nil {
		t.Fatal(err)
	}
	expect(t, br, "data: 1\n\n")
	r.Set("blog", routeTo(startReplying(t, "new")))
	if rest, _ := io.ReadAll(br); len(rest) > 0 {
		t.Errorf("after the end of the stream: %q", rest)
	}
}

// Cutting a stream that has just ended does not close its connection, which may already serve
// another request.
func TestCutAfterTheEnd(t *testing.T) {
	r := &Router{}
	r.init()
	app, _ := script(t, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"+
		"Content-Length: 2\r\n\r\nhi")
	i := newBackend(app)
	defer i.pool.close()
	next := func() *appResponse {
		gone, leave := context.WithCancel(t.Context())
		s := &clientConn{router: r, bw: bufio.NewWriter(io.Discard), gone: gone, leave: leave}
		x := &exchange{router: r, client: s, app: newApp("blog"),
			req: &clientRequest{method: "GET", target: "/", authority: "blog.localhost"}}
		x.backend.Store(i)
		a, err := i.pool.roundTrip(x)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := next()
	if got, err := io.ReadAll(first); string(got) != "hi" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	second := next()
	if second.c != first.c {
		t.Fatal("the connection was not kept")
	}
	first.cutStream()
	if got, err := io.ReadAll(second); string(got) != "hi" || err != nil {
		t.Errorf("the next answer on the connection: %q %v", got, err)
	}
	if third := next(); third.c != first.c {
		t.Error("the connection was closed")
	}
}

// tlsRouter starts r behind TLS.
func tlsRouter(t *testing.T, r *Router) (addr string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS() // for its certificate
	t.Cleanup(s.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.Listener = tls.NewListener(l, &tls.Config{Certificates: s.TLS.Certificates})
	return start(t, r)
}

// Over TLS too, an incomplete response without a length does not look complete to a client.
func TestIncompleteResponseOverTLS(t *testing.T) {
	r := &Router{}
	addr := tlsRouter(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	})))
	nc, _ := dial(t, addr)
	c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	io.WriteString(c, "GET / HTTP/1.0\r\nHost: blog.localhost\r\n\r\n")
	if got, err := io.ReadAll(c); err == nil {
		t.Errorf("%q looks complete", got)
	}
}

// Run returns after StopTimeout even if an app sends nothing to a client that has closed its side.
func TestStopBreaksConnections(t *testing.T) {
	left := make(chan struct{})
	t.Run("until it stops", func(t *testing.T) {
		r := &Router{HalfCloseTimeout: time.Hour}
		addr := start(t, r) // fails if Run does not return in time
		arrived := make(chan struct{})
		r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
			br := bufio.NewReader(c)
			readHead(br)
			close(arrived)
			br.ReadByte()
			close(left)
		})))
		c, _ := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
		c.(*net.TCPConn).CloseWrite()
		waitClosed(t, "request at the app", arrived)
		time.Sleep(2 * hangupWatchDelay) // the watch has seen that the client closed its side
	})
	waitClosed(t, "the app told", left)
}

// meddled is a connection that calls a function whenever a write deadline is set.
type meddled struct {
	net.Conn
	meddle func(time.Time)
}

func (m *meddled) SetWriteDeadline(t time.Time) error {
	m.meddle(t)
	return nil
}

// Cutting a websocket does not wait for a slow client, even if the app goes on writing to it.
func TestCutWhileWriting(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	app, _ := net.Pipe()
	go io.Copy(io.Discard, far)
	r := &Router{}
	r.init()
	var tun *tunnel
	var last time.Time
	client := &meddled{Conn: near}
	first := true
	client.meddle = func(when time.Time) {
		last = when
		if first {
			first = false
			tun.writeToClient([]byte("one more")) // between the two
		}
	}
	tun = &tunnel{x: &exchange{router: r, client: &clientConn{conn: client}},
		app: &appConn{Conn: app}}
	tun.cut()
	if left := time.Until(last); left > closeTimeout {
		t.Errorf("a Write may take %v", left)
	}
}

// explosive is a connection to an app whose Read panics.
type explosive struct{ net.Conn }

func (explosive) Read([]byte) (int, error) { panic("boom") }

// A panic ends only its own exchange, on both sides, and is logged.
func TestPanicEndsBothSides(t *testing.T) {
	var out logRecorder
	r := &Router{Log: slog.New(slog.NewTextHandler(&out, nil))}
	told := make(chan struct{})
	var one sync.Once
	r.Dial = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			io.Copy(io.Discard, far)
			one.Do(func() { close(told) })
		}()
		return explosive{near}, nil
	}
	addr := start(t, r)
	r.Set("blog", routeTo("127.0.0.1:1"))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.0\r\nHost: blog.localhost\r\n\r\n")
	if _, err := br.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client gets %v", err)
	}
	waitClosed(t, "the app told", told)
	if got := strings.Join(out.take(), ""); !strings.Contains(got, "boom") {
		t.Errorf("logged %q", got)
	}
	if status, _ := get(t, addr, "localhost"); status != 200 {
		t.Error(status)
	}
}
