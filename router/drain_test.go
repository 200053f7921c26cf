package router

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// websocketApp switches protocols, sends first, then echoes.
func websocketApp(t *testing.T, first string) string {
	return startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		if _, err := readHead(br); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
			"Connection: Upgrade\r\n\r\n"+first)
		io.Copy(c, br)
	})
}

// websocket opens a websocket through the router.
func websocket(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" {
		t.Fatal(resp, err)
	}
	return c, br
}

// frame returns a server's frame with n bytes of payload.
func frame(n int) string {
	switch {
	case n < 126:
		return string([]byte{0x82, byte(n)}) + repeat(n)
	case n < 1<<16:
		return string(binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(n))) + repeat(n)
	}
	return string(binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(n))) + repeat(n)
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %d bytes %.20q %v, want %d %.20q", n, got[:n], err, len(want), want)
	}
}

// A websocket outlives the switch by DrainTimeout and is then closed with 1001.
func TestWebsocketDrain(t *testing.T) {
	r := &Router{DrainTimeout: 200 * time.Millisecond}
	addr := start(t, r)
	r.Set("blog", routeTo(websocketApp(t, frame(5))))
	c, br := websocket(t, addr)
	expect(t, br, frame(5))
	inFrame, inFrameBr := websocket(t, addr)
	expect(t, inFrameBr, frame(5))

	began := time.Now()
	drained := r.Set("blog", routeTo(startReplying(t, "new")))
	for _, n := range []int{0, 125, 126, 70000} {
		io.WriteString(c, frame(n))
		expect(t, br, frame(n))
	}
	io.WriteString(inFrame, frame(125)[:60])
	expect(t, inFrameBr, frame(125)[:60])
	if isClosed(drained) {
		t.Error("drained with a websocket open")
	}
	waitClosed(t, "drained", drained)
	if d := time.Since(began); d < r.DrainTimeout {
		t.Errorf("websocket had %v", d)
	}
	if rest, _ := io.ReadAll(br); string(rest) != "\x88\x02\x03\xe9" {
		t.Errorf("last words %q, want close 1001", rest)
	}
	// In the middle of a frame no close frame can be sent; the connection just closes.
	if rest, _ := io.ReadAll(inFrameBr); len(rest) > 0 {
		t.Errorf("%q within a frame", rest)
	}
}

// A websocket that closes by itself is drained.
func TestWebsocketEnds(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(websocketApp(t, "")))
	c, br := websocket(t, addr)
	drained := r.Set("blog", routeTo(startReplying(t, "new")))
	io.WriteString(c, "last")
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(br); string(b) != "last" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	waitClosed(t, "drained", drained)
	waitFor(t, "slot free", func() bool { return len(r.slots) <= 1 })
	r.streamMu.Lock()
	defer r.streamMu.Unlock()
	if len(r.streams) != 0 {
		t.Error("still listed")
	}
}

// A connection can be upgraded to any protocol, and bytes sent along with the request are not lost.
func TestUpgrade(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"+
			"Connection: Upgrade\r\n\r\n")
		io.Copy(c, br)
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: echo\r\n"+
		"Connection: Upgrade\r\n\r\nearly")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	expect(t, br, "early")

	// With a body to come, or a protocol that was not requested, the connection is not upgraded.
	c, br = dial(t, addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: echo\r\n"+
		"Connection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 502 {
		t.Error(resp, err)
	}
	c, br = dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: other\r\n"+
		"Connection: Upgrade\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 502 {
		t.Error(resp, err)
	}
	// An app that does not switch responds as usual.
	r.Set("plain", routeTo(startReplying(t, "no")))
	resp := sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: plain.localhost\r\nUpgrade: echo\r\n"+
		"Connection: Upgrade\r\n\r\n")
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

func TestFrames(t *testing.T) {
	var stream string
	ends := map[int]bool{0: true}
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 3} {
		stream += frame(n)
		ends[len(stream)] = true
	}
	stream += "\x82\x83mask123" // a mask of four bytes, a payload of three
	ends[len(stream)] = true
	for _, step := range []int{1, 2, 7, 1000, len(stream)} {
		var f frameTracker
		for at := 0; at < len(stream); {
			n := min(step, len(stream)-at)
			f.advance([]byte(stream[at : at+n]))
			if at += n; f.atBoundary() != ends[at] {
				t.Fatalf("steps of %d: between frames at %d: %v", step, at, f.atBoundary())
			}
		}
	}
}

// An event stream ends properly DrainTimeout after the switch. A request is waited for until
// RequestDrain and not interrupted even then.
func TestStreamAndRequestDrain(t *testing.T) {
	r := &Router{DrainTimeout: 50 * time.Millisecond, RequestDrain: 300 * time.Millisecond}
	addr := start(t, r)
	release := make(chan struct{})
	arrived := make(chan struct{}, 2)
	old := startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/events" {
			w.Header().Set("Content-Type", "Text/Event-Stream ;charset=utf-8")
			io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
		}
		arrived <- struct{}{}
		select {
		case <-release:
			io.WriteString(w, "old")
		case <-req.Context().Done():
		}
	})
	r.Set("blog", routeTo(old))
	events := make(chan string)
	slow := make(chan string)
	for path, got := range map[string]chan string{"/events": events, "/": slow} {
		go func() {
			resp, err := client(t).Do(request(t, "GET", addr, "blog.localhost", path, nil))
			if err != nil {
				got <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			got <- fmt.Sprintf("%s %v", b, err)
		}()
		<-arrived
	}
	began := time.Now()
	drained := r.Set("blog", routeTo(startReplying(t, "new")))
	if got := <-events; got != "data: 1\n\n <nil>" || time.Since(began) < r.DrainTimeout {
		t.Errorf("event stream: %q after %v", got, time.Since(began))
	}
	if isClosed(drained) {
		t.Error("drained with a request in flight")
	}
	waitClosed(t, "drained", drained)
	if d := time.Since(began); d < r.RequestDrain {
		t.Errorf("given up after %v", d)
	}
	close(release)
	if got := <-slow; got != "old <nil>" {
		t.Errorf("request: %q", got)
	}
}

// When Run's ctx ends, requests in flight finish. Then websockets are closed with 1001, held requests
// are refused, and Run returns.
func TestStop(t *testing.T) {
	r := &Router{Addr: "127.0.0.1:0", StopTimeout: testTimeout, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	addr := r.Address().String()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	arrived, release := make(chan struct{}), make(chan struct{})
	r.Set("ws", Route{Addrs: []string{websocketApp(t, frame(1))},
		Hosts: []string{"blog.localhost"}})
	r.Set("held", Route{})
	r.Set("slow", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "done")
	})))
	answers := map[string]chan string{"slow.localhost": make(chan string, 1),
		"held.localhost": make(chan string, 1)}
	for host, got := range answers {
		go func() {
			status, body := get(t, addr, host)
			got <- fmt.Sprintf("%d %.4s", status, body)
		}()
	}
	waitClosed(t, "request at the app", arrived)
	waitFor(t, "held", func() bool { return r.waitingAt("held") == 1 })
	_, br := websocket(t, addr)
	expect(t, br, frame(1))

	stop()
	if isClosed(ended) {
		t.Error("Run returned with a request in flight")
	}
	close(release)
	if got := <-answers["slow.localhost"]; got != "200 done" {
		t.Errorf("in flight: %q", got)
	}
	if rest, _ := io.ReadAll(br); string(rest) != "\x88\x02\x03\xe9" {
		t.Errorf("websocket: %q, want close 1001", rest)
	}
	if got := <-answers["held.localhost"]; got != "503 This" {
		t.Errorf("held: %q", got)
	}
	waitClosed(t, "Run", ended)
}
