package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A router that leaves to another one closes no connection under a client: it finishes websockets and
// held requests, and serves one more request on each kept connection, and on one that has just come.
func TestLeave(t *testing.T) {
	r := &Router{Addr: "127.0.0.1:0"}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	addr := r.Address().String()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	r.Set("blog", routeTo(websocketApp(t, frame(5))))
	ws, wsIn := websocket(t, addr)
	expect(t, wsIn, frame(5))
	r.Set("page", routeTo(startReplying(t, "page")))
	kept, keptIn := dial(t, addr)
	if closes := askOn(t, kept, keptIn, "page"); closes {
		t.Error("the first response closes the connection")
	}
	fresh, freshIn := dial(t, addr)
	waitFor(t, "accepted", func() bool { r.clients.mu.Lock(); defer r.clients.mu.Unlock(); return len(r.clients.all) == 3 })
	r.Set("held", Route{State: Starting})
	held := make(chan int)
	go func() {
		status, _ := get(t, addr, "held.localhost")
		held <- status
	}()
	waitFor(t, "held", func() bool { return r.waitingAt("held") == 1 })

	r.Leave()
	stop()
	waitFor(t, "it accepts no more", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	io.WriteString(ws, frame(100))
	expect(t, wsIn, frame(100))
	r.Set("held", routeTo(startReplying(t, "held")))
	if status := <-held; status != 200 {
		t.Errorf("held: %d", status)
	}
	for _, c := range []struct {
		net.Conn
		in *bufio.Reader
	}{{kept, keptIn}, {fresh, freshIn}} {
		if closes := askOn(t, c, c.in, "page"); !closes {
			t.Error("the last response does not close the connection")
		}
	}
	ws.Close()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// askOn sends a request on a connection, and reports whether the response closes it.
func askOn(t *testing.T, c net.Conn, in *bufio.Reader, app string) (closes bool) {
	t.Helper()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s.localhost\r\n\r\n", app)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Errorf("%s %s", resp.Status, text)
	}
	return resp.Close
}

// A router that leaves closes idle connections after a moment, and does not wait for clients longer
// than RequestDrain.
func TestLeaveIsBounded(t *testing.T) {
	r := &Router{Addr: "127.0.0.1:0", DrainTimeout: time.Second, RequestDrain: 3 * time.Second}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	addr := r.Address().String()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	r.Set("page", routeTo(startReplying(t, "page")))
	kept, keptIn := dial(t, addr)
	askOn(t, kept, keptIn, "page")
	r.Set("blog", routeTo(websocketApp(t, frame(5))))
	_, wsIn := websocket(t, addr)
	expect(t, wsIn, frame(5))
	r.Leave()
	stop()
	if _, err := keptIn.ReadByte(); err != io.EOF {
		t.Error(err)
	}
	if len(ran) > 0 {
		t.Error("it does not wait for the websocket")
	}
	expect(t, wsIn, string(goingAway))
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// A stop lets requests that come while a slow one ends reach their app.
func TestStopServesWhileSlowRequestEnds(t *testing.T) {
	r := &Router{Addr: "127.0.0.1:0", StopTimeout: testTimeout}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	addr := r.Address().String()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	arrived, end := make(chan struct{}), make(chan struct{})
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			close(arrived)
			<-end
		}
	})))
	_, wsIn := func() (net.Conn, *bufio.Reader) { // it is not waited for
		r.Set("ws", routeTo(websocketApp(t, frame(5))))
		c, in := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: ws.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		if _, err := http.ReadResponse(in, nil); err != nil {
			t.Fatal(err)
		}
		return c, in
	}()
	expect(t, wsIn, frame(5))
	slow := make(chan int)
	go func() {
		resp, _ := do(t, client(t), request(t, "GET", addr, "blog.localhost", "/slow", nil))
		slow <- resp.StatusCode
	}()
	<-arrived
	stop()
	for range 20 {
		if status, _ := get(t, addr, "blog.localhost"); status != 200 {
			t.Errorf("while the slow one runs: %d", status)
		}
	}
	close(end)
	if status := <-slow; status != 200 {
		t.Errorf("the slow one: %d", status)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
