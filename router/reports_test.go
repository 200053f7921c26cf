package router

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// These tests cover bugs that users reported in other proxies. Each names its report.

// apt-get sends many requests at once. Some responses were cut short (golang/go#26414), and a
// client that left was not noticed behind its pipelined requests (golang/go#13165).
func TestPipelining(t *testing.T) {
	r := &Router{HalfCloseTimeout: 20 * time.Millisecond}
	addr := start(t, r)
	const requests, size = 50, 100_000
	arrived, left := make(chan struct{}), make(chan struct{}, 2)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/silent" {
			w.(http.Flusher).Flush()
			arrived <- struct{}{}
			<-req.Context().Done()
			left <- struct{}{}
			return
		}
		fmt.Fprint(w, strings.Repeat(req.URL.Path[1:2], size))
	})))
	c, br := dial(t, addr)
	var all strings.Builder
	for i := range requests {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: blog.localhost\r\n\r\n", i%10)
	}
	go io.WriteString(c, all.String())
	for i := range requests {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(i, err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil ||
			string(body) != strings.Repeat(fmt.Sprint(i%10), size) {
			t.Fatalf("answer %d: %d bytes, %.5q, %v", i, len(body), body, err)
		}
	}
	for _, behind := range []int{1, 1000} { // fewer and more bytes than fit into the buffer
		c, _ := dial(t, addr)
		io.WriteString(c, "GET /silent HTTP/1.1\r\nHost: blog.localhost\r\n\r\n"+
			strings.Repeat("GET /1 HTTP/1.1\r\nHost: blog.localhost\r\n\r\n", behind))
		<-arrived
		c.Close()
		waitClosed(t, fmt.Sprintf("the app told, %d requests behind", behind), left)
	}
}

// Apps send a body after a HEAD, a 204 or a 304, an empty chunk after a 304, or more than they
// announced. The next client got the rest as its response (e2guardian#136, swindon-rs/swindon#48,
// eclipse-vertx/vertx-http-proxy#116, hudikhq/hoodik#80).
func TestResponseWithExcessBody(t *testing.T) {
	const own = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown"
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, c := range map[string]struct{ method, head, body string }{
		"HEAD": {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n", evil},
		"204":  {"GET", "HTTP/1.1 204 No Content\r\n\r\n", evil},
		"304": {"GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
			"0\r\n\r\n"},
		"longer": {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", evil},
		"after chunks": {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			evil},
		"after trailers": {"GET",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", evil},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s late %v", name, late), func(t *testing.T) {
				r := &Router{}
				addr := start(t, r)
				answered, sent := make(chan struct{}), make(chan struct{})
				r.Set("blog", routeTo(startRawBackend(t, func(nc net.Conn) {
					br := bufio.NewReader(nc)
					for {
						head, err := readHead(br)
						if err != nil {
							return
						}
						if strings.Contains(head, "/own") {
							io.WriteString(nc, own)
							continue
						}
						if late {
							io.WriteString(nc, c.head)
							<-answered
							io.WriteString(nc, c.body)
						} else {
							io.WriteString(nc, c.head+c.body)
						}
						sent <- struct{}{}
					}
				})))
				nc, br := dial(t, addr)
				io.WriteString(nc, c.method+" / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
				resp, err := http.ReadResponse(br, &http.Request{Method: c.method})
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				if late {
					answered <- struct{}{}
				}
				<-sent
				for range 2 {
					resp, body := do(t, client(t), request(t, "GET", addr, "blog.localhost", "/own",
						nil))
					if resp.StatusCode != 200 || body != "own" {
						t.Errorf("the next visitor: %s %q", resp.Status, body)
					}
				}
				// This client must not get any of it either.
				io.WriteString(nc, "GET /own HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
				if resp, err := http.ReadResponse(br, nil); err != nil || resp.ContentLength != 3 {
					t.Errorf("the same visitor: %v %v", resp, err)
				}
			})
		}
	}
}

// A client whose websocket the app refused kept a connection to the app
// (http-party/node-http-proxy#783, sagemathinc/http-proxy-3#26, traefik/traefik#4864).
func TestRefusedUpgradeKeepsNoConnection(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, _ := script(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
	r.Set("blog", routeTo(app))
	c, br := dial(t, addr)
	for range 3 { // the client may send more requests
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n"+
			"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 404 || resp.Close {
			t.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	c.Close()
	waitFor(t, "nothing left", func() bool {
		r.streamMu.Lock()
		defer r.streamMu.Unlock()
		return len(r.streams) == 0 && len(r.slots) <= 1 && r.share.inProgress.Load() == 0
	})
	if !isClosed(r.Set("blog", Route{})) {
		t.Error("not drained")
	}
}

// An app that responds to an upload before reading it, and closes, made the proxy respond with 502,
// hang or crash (caddyserver/caddy#782, golang/go#34902).
func TestRefusedUpload(t *testing.T) {
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		for _, framing := range []string{"Content-Length: 10000000\r\n",
			"Transfer-Encoding: chunked\r\n"} {
			r := &Router{}
			addr := start(t, r)
			app := startRawBackend(t, func(c net.Conn) {
				br := bufio.NewReader(c)
				readHead(br)
				io.WriteString(c,
					"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
				c.(*net.TCPConn).CloseWrite()
				io.CopyN(io.Discard, br, 100_000)
			})
			r.Set("blog", routeTo(app))
			c, br := dial(t, addr)
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: blog.localhost\r\n"+expect+framing+"\r\n")
			if expect == "" {
				part := repeat(16 << 10)
				go func() {
					for err := error(nil); err == nil; {
						if strings.Contains(framing, "chunked") {
							_, err = fmt.Fprintf(c, "%x\r\n%s\r\n", len(part), part)
						} else {
							_, err = io.WriteString(c, part)
						}
					}
				}()
			}
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 413 || resp.Status != "413 Too Much" {
				t.Errorf("%s%s: %v %v", expect, framing, resp, err)
				continue
			}
			if body, err := io.ReadAll(resp.Body); string(body) != "no" || err != nil {
				t.Errorf("%s%s: %q %v", expect, framing, body, err)
			}
		}
	}
}

// A HEAD or 304 with a length, from an app that then closes, was taken for incomplete, and the
// client's connection was closed along with its next request (freeunitorg/freeunit#295).
func TestBodilessResponseOfClosingApp(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app := startRawBackend(t, func(c net.Conn) {
		head, _ := readHead(bufio.NewReader(c))
		if strings.HasPrefix(head, "HEAD") {
			io.WriteString(c,
				"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n")
		} else {
			io.WriteString(c, "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n"+
				"Connection: close\r\n\r\n")
		}
	})
	r.Set("blog", routeTo(app))
	c, br := dial(t, addr)
	for range 3 {
		for _, method := range []string{"HEAD", "GET"} {
			io.WriteString(c, method+" / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
			resp, err := http.ReadResponse(br, &http.Request{Method: method})
			if err != nil || resp.Close || resp.Header.Get("Content-Length") != "1000" {
				t.Fatalf("%s: %v %v", method, resp, err)
			}
		}
	}
}

// Trailers after an empty body were lost unless they had been announced (golang/go#29031).
func TestTrailerWithoutBody(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, _ := script(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"+
		"grpc-Status: 0\r\n\r\n")
	r.Set("blog", routeTo(app))
	got := exchangeRaw(t, addr,
		"GET / HTTP/1.1\r\nHost: blog.localhost\r\nConnection: close\r\n\r\n")
	if !strings.HasSuffix(got, "\r\n\r\n0\r\ngrpc-Status: 0\r\n\r\n") {
		t.Errorf("%q", got)
	}
}

// Some websocket servers and clients compare the spelling of names and of the word Upgrade
// (traefik/traefik#5397, caddyserver/caddy#4197, kerryjiang/WebSocket4Net#33).
func TestWebsocketSpelling(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, heads := script(t, "HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Accept: a\r\nSec-WebSocket-Protocol: p\r\n\r\n")
	r.Set("blog", routeTo(app))
	got := exchangeRaw(t, addr,
		"GET / HTTP/1.1\r\nHost: blog.localhost\r\nConnection: keep-alive, upgrade\r\n"+
			"Upgrade: WebSocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n")
	want := "HTTP/1.1 101 Web Socket Protocol Handshake\r\nSec-WebSocket-Accept: a\r\n" +
		"Sec-WebSocket-Protocol: p\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for head, line := range map[string]string{<-heads: "Connection: Upgrade\r\n" +
		"Upgrade: WebSocket\r\n"} {
		for _, line := range []string{line, "Sec-WebSocket-Key: k\r\n",
			"Sec-WebSocket-Version: 13\r\n"} {
			if !strings.Contains(head, line) {
				t.Errorf("the app did not see %q in %q", line, head)
			}
		}
	}
}

// curl --http2 offers every server to switch to HTTP/2. If an app accepted, the client could send
// it any header, including those reserved for the router.
func TestNoUpgradeToHTTP2(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, heads := script(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	r.Set("blog", routeTo(app))
	for _, upgrade := range []string{"h2c", "H2C", "websocket, h2c"} {
		exchangeRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n"+
			"Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: "+upgrade+
			"\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
		if head := <-heads; strings.Contains(head, "Upgrade") ||
			strings.Contains(head, "HTTP2-Settings") {
			t.Errorf("%s: the app saw %q", upgrade, head)
		}
	}
}

// A client cannot use Connection, which lists fields to drop, to make the router drop its own
// fields or those that the app needs to understand the request.
func TestConnectionCannotDropReservedFields(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, heads := script(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	r.Set("blog", routeTo(app))
	exchangeRaw(t, addr, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nContent-Length: 0\r\n"+
		"Connection: close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, "+
		"X-Request-Id, Host, Content-Length\r\n\r\n")
	head := <-heads
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
		"X-Request-Id", "Host", "Content-Length"} {
		if !strings.Contains(head, "\r\n"+name+": ") {
			t.Errorf("no %s in %q", name, head)
		}
	}
}

// An incomplete response is logged, because its owner wants to know. A client that leaves is not
// (caddyserver/caddy logs both as errors).
func TestIncompleteResponseIsLogged(t *testing.T) {
	var out logRecorder
	r := &Router{Log: slog.New(slog.NewTextHandler(&out, nil))}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi")
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.0\r\nHost: blog.localhost\r\n\r\n")
	io.Copy(io.Discard, br)
	if got := out.take(); len(got) != 1 || !strings.Contains(got[0], "app=blog") {
		t.Errorf("logged %q", got)
	}
	gone := make(chan struct{})
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		defer close(gone)
		for err := error(nil); err == nil; _, err = w.Write(make([]byte, 1<<20)) {
		}
	})))
	c, br = dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	br.ReadByte()
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	waitClosed(t, "the app told", gone)
	waitClosed(t, "drained", r.Set("blog", Route{}))
	if got := out.take(); len(got) > 0 {
		t.Errorf("logged %q", got)
	}
}

// An app may never stop producing the body of a response to HEAD. The next client does not wait for
// it.
func TestHeadOfEndlessResponse(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		for req.Method == "HEAD" && req.Context().Err() == nil {
			io.WriteString(w, "data: x\n\n")
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
		io.WriteString(w, "hi")
	})))
	for range 3 {
		if resp, _ := do(t, client(t),
			request(t, "HEAD", addr, "blog.localhost", "/", nil)); resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
		if _, body := do(t, client(t),
			request(t, "GET", addr, "blog.localhost", "/", nil)); body != "hi" {
			t.Errorf("%q", body)
		}
	}
}

// A client that has sent more requests than get a response receives its last response completely.
func TestLastResponseBeforeMoreRequests(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog",
		routeTo(startBackend(t,
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, repeat(1<<20)) })))
	const ask = "GET / HTTP/1.1\r\nHost: blog.localhost\r\nConnection: close\r\n\r\n"
	for range 5 {
		c, br := dial(t, addr)
		io.WriteString(c, strings.Repeat(ask, 1000)) // more than the buffer
		if _, err := readHead(br); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, br); n < 1<<20 || err != nil {
			t.Error(n, err)
		}
	}
}
