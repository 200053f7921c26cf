package router

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// greetWord admits connections that begin with word.
func greetWord(word string) func(context.Context, net.Conn) bool {
	return func(_ context.Context, c net.Conn) bool {
		got := make([]byte, len(word))
		c.SetDeadline(time.Now().Add(testTimeout))
		_, err := io.ReadFull(c, got)
		c.SetDeadline(time.Time{})
		return err == nil && string(got) == word
	}
}

// sayOrigin answers with what the app is told about the client.
func sayOrigin(w http.ResponseWriter, req *http.Request) {
	h := req.Header
	io.WriteString(w, h.Get("X-Forwarded-For")+"|"+h.Get("X-Forwarded-Proto")+"|"+
		h.Get("X-Forwarded-Host")+"|"+h.Get("X-Forwarded-Port")+"|"+h.Get("X-Real-Ip"))
}

// What a front says about its clients is believed, and it is no hop of its own. So is nothing that a
// client says who does not begin as a front.
func TestBehindFront(t *testing.T) {
	const word = "\x00word"
	inner := &Router{Greet: greetWord(word)}
	innerAddr := start(t, inner)
	inner.Set("blog", Route{
		Addrs: []string{startBackend(t, sayOrigin)}, Rules: Rules{Allow: []string{"127.0.0.1"}},
	})
	front := &Router{Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_, err = io.WriteString(c, word)
		}
		return c, err
	}}
	frontAddr, https := startHTTPS(t, front, "never")
	front.Set("blog", Route{Addrs: []string{innerAddr}, Inner: true})

	_, port, _ := net.SplitHostPort(https)
	host := "blog.localhost:" + port
	_, body := ask(t, secureClient(t, "blog.localhost"), "https://"+https+"/", host)
	if want := "127.0.0.1|https|" + host + "|" + port + "|"; body != want {
		t.Errorf("through the front: %s, want %s", body, want)
	}
	req := request(t, "GET", frontAddr, "blog.localhost", "/", nil)
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "X_Real_Ip"} {
		req.Header.Set(name, "203.0.113.7")
	}
	if _, body := do(t, client(t), req); body != "127.0.0.1|http|blog.localhost|80|" {
		t.Errorf("a visitor of the front claims to be another: %s", body)
	}
	req = request(t, "GET", innerAddr, "blog.localhost", "/", nil)
	req.Header.Set("X-Real-Ip", "203.0.113.7")
	if resp, _ := do(t, client(t), req); resp.StatusCode != 200 {
		t.Errorf("X-Real-Ip of a stranger is believed: %d", resp.StatusCode)
	}
}

// A connection that begins as a front's and is none closes, and so does one whose front hangs.
func TestNoFront(t *testing.T) {
	r := &Router{Greet: greetWord("\x00word")}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, sayOrigin)))
	c, br := dial(t, addr)
	io.WriteString(c, "\x00fort"+"GET / HTTP/1.1\r\nHost: blog.localhost\r\nX-Real-Ip: 203.0.113.7\r\n\r\n")
	if answer, _ := io.ReadAll(br); len(answer) > 0 {
		t.Errorf("%q", answer)
	}
	c, br = dial(t, addr) // a front begins once
	io.WriteString(c, "\x00word\x00wordGET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(br), nil); err != nil || resp.StatusCode != 400 {
		t.Errorf("%v, %v", resp, err)
	}
	c, br = dial(t, start(t, &Router{})) // there are no fronts
	io.WriteString(c, "\x00word\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(br), nil); err != nil || resp.StatusCode != 400 {
		t.Errorf("%v, %v", resp, err)
	}
}

// A router that stops does not wait for what a front follows.
func TestStopWithFollower(t *testing.T) {
	greeted, ended := make(chan struct{}), make(chan struct{})
	r := &Router{StopTimeout: testTimeout, Greet: func(ctx context.Context, _ net.Conn) bool {
		close(greeted)
		<-ctx.Done()
		close(ended)
		return false
	}}
	r.Addr = "127.0.0.1:0"
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.Run(ctx)
	}()
	c, _ := dial(t, r.Address().String())
	c.Write([]byte{0})
	waitClosed(t, "the greeting", greeted)
	stop()
	waitClosed(t, "its end", ended)
	waitClosed(t, "the end of Run", stopped)
}

// A router behind this one that hangs holds requests no longer than until that is noticed: neither
// those that it has, nor those that would go to idle connections. It is not taken for one that needs
// long.
func TestHungBehind(t *testing.T) {
	var hung atomic.Bool
	asked := make(chan struct{}, 1)
	answers := make(chan string)
	arrived := make(chan struct{}, 1)
	r := &Router{
		HoldTimeout: 10 * time.Millisecond, AliveEvery: time.Millisecond, StallTimeout: testTimeout,
		Alive: func() bool {
			select {
			case asked <- struct{}{}:
			default:
			}
			return !hung.Load()
		},
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			if hung.Load() {
				return nil, context.DeadlineExceeded
			}
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
	}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		arrived <- struct{}{}
		select {
		case text := <-answers:
			io.WriteString(w, text)
		case <-req.Context().Done():
		}
	})))
	status := make(chan int, 1)
	begin := func() {
		go func() {
			resp, err := client(t).Do(request(t, "GET", addr, "blog.localhost", "/", nil))
			if err != nil {
				t.Error(err)
				status <- 0
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			status <- resp.StatusCode
		}()
	}
	begin()
	<-arrived
	<-asked // for the connection
	for range 5 {
		<-asked // it is slow
	}
	answers <- "late"
	if got := <-status; got != 200 {
		t.Errorf("slow, and alive: %d", got)
	}
	begin()
	<-arrived
	hung.Store(true)
	if got := <-status; got != 504 {
		t.Errorf("in flight: %d", got)
	}
	hung.Store(false)
	begin()
	<-arrived
	answers <- "on time" // its connection is idle now
	if got := <-status; got != 200 {
		t.Errorf("alive again: %d", got)
	}
	hung.Store(true)
	begin()
	if got := <-status; got != 503 {
		t.Errorf("on an idle connection: %d", got)
	}
}
