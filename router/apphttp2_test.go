package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// startHTTP2App starts a process that speaks HTTP/2 without TLS, and nothing else.
func startHTTP2App(t *testing.T, h http.HandlerFunc) (addr string) {
	t.Helper()
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := http.Server{Handler: h, Protocols: &only}
	t.Cleanup(func() { s.Close() })
	go s.Serve(l)
	return l.Addr().String()
}

// A call as gRPC makes it: messages go both ways at the same time, and the status is in the trailer.
func TestHTTP2AppStreamsBothWays(t *testing.T) {
	r := &Router{}
	_, addr := startHTTPS(t, r, "localhost")
	r.Set("blog", Route{HTTP2: true, Addrs: []string{startHTTP2App(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Te") != "trailers" || req.Header.Get("Content-Type") != "application/grpc" {
			t.Errorf("the app got %v", req.Header)
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		lines := bufio.NewScanner(req.Body)
		for lines.Scan() {
			fmt.Fprintf(w, "you said %s\n", lines.Text())
			w.(http.Flusher).Flush()
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	})}})
	body, send := io.Pipe()
	req := http2Request(t, "POST", addr, "/chat.Chat/Talk", body)
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	resp, err := http2Client(t, "blog.localhost").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(resp.Body)
	for _, word := range []string{"one", "two"} { // each answer comes before the next message is sent
		fmt.Fprintln(send, word)
		if got, err := answers.ReadString('\n'); got != "you said "+word+"\n" {
			t.Fatalf("%q %v", got, err)
		}
	}
	send.Close()
	if rest, err := io.ReadAll(answers); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if got := resp.Trailer.Get("Grpc-Status"); got != "0" {
		t.Errorf("status %q in %v", got, resp.Trailer)
	}
}

// Requests of HTTP/1 reach such an app too, in the same words.
func TestHTTP2App(t *testing.T) {
	r := &Router{HalfCloseTimeout: 10 * time.Millisecond}
	addr := start(t, r)
	left := make(chan struct{})
	app := startHTTP2App(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/wait" {
			<-req.Context().Done()
			close(left)
			return
		}
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("X-Seen", fmt.Sprint(req.Proto, " ", req.Method, " ", req.RequestURI, " ", req.Host, " ",
			req.ContentLength, " ", req.Header.Get("X-Forwarded-Host"), req.Header["User-Agent"], req.Header["Connection"]))
		if req.URL.Path == "/empty" {
			w.WriteHeader(204)
			return
		}
		w.Write(body)
	})
	r.Set("blog", Route{Addrs: []string{app}, HTTP2: true})
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, c := range []struct {
		method, path, body string
		unknown            bool
		length             int
	}{
		{"GET", "/a%20b//?c=d", "", false, 0}, {"GET", "//x", "", false, 0}, {"HEAD", "/", "", false, 0},
		{"GET", "/empty", "", false, 0}, {"POST", "/", "small", false, 5}, {"POST", "/", "small", true, -1},
		{"PUT", "/", large, false, len(large)}, {"PUT", "/", large, true, -1},
	} {
		req := request(t, c.method, addr, "blog.localhost", c.path, strings.NewReader(c.body))
		req.Header["User-Agent"] = nil
		req.Header.Set("Connection", "x-hop")
		if c.unknown {
			req.ContentLength = -1
		}
		resp, body := do(t, client(t), req)
		want := fmt.Sprintf("HTTP/2.0 %s %s blog.localhost %d blog.localhost[] []", c.method, c.path, c.length)
		if got := resp.Header.Get("X-Seen"); got != want || body != c.body {
			t.Errorf("%s %s: %d bytes, the app saw %s", c.method, c.path, len(body), got)
		}
	}
	c := client(t)
	c.Timeout = 200 * time.Millisecond
	if _, err := c.Do(request(t, "GET", addr, "blog.localhost", "/wait", nil)); err == nil {
		t.Error("there was a response")
	}
	waitClosed(t, "the app's request", left)
}

// The trailer of a request comes to the app, by whatever version of HTTP: what was announced, but nothing
// that only the router may say.
func TestHTTP2AppGetsTrailer(t *testing.T) {
	r := &Router{}
	plain, secure := startHTTPS(t, r, "never")
	r.Set("blog", Route{HTTP2: true, Addrs: []string{startHTTP2App(t, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		fmt.Fprint(w, req.Trailer, req.Header["Trailer"])
	})}})
	want := "map[Checksum:[a b] None:[]] []"
	send := func(c *http.Client, req *http.Request) {
		t.Helper()
		req.ContentLength = -1
		req.Trailer = http.Header{
			"Checksum": {"a", "b"}, "None": nil, "X-Real-Ip": {"203.0.113.7"}, "X_forwarded_for": {"203.0.113.7"},
		}
		if _, got := do(t, c, req); got != want {
			t.Errorf("%s: %s", req.URL.Scheme, got)
		}
	}
	send(client(t), request(t, "POST", plain, "blog.localhost", "/", stringsReader("hello")))
	send(http2Client(t, "blog.localhost"), http2Request(t, "POST", secure, "/", stringsReader("hello")))
	resp := sendRaw(t, plain, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nTransfer-Encoding: chunked\r\n"+
		"Trailer: a, content-length,,b b,c\r\n\r\n0\r\nA: 1\r\nContent-Length: 7\r\nOther: 2\r\nc: 3\r\n\r\n")
	body, _ := io.ReadAll(resp.Body)
	if got := string(body); got != "map[A:[1] C:[3]] []" {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

// A process that does not listen yet is waited for, and one that speaks HTTP/1 gets a clear page.
func TestHTTP2AppRefuses(t *testing.T) {
	r := &Router{HoldTimeout: testTimeout}
	addr := start(t, r)
	app := startHTTP2App(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	r.Set("blog", Route{Addrs: []string{freeAddr(t), app}, HTTP2: true})
	for range 10 {
		if status, body := get(t, addr, "blog.localhost"); body != "hello" {
			t.Errorf("%d %s", status, body)
		}
	}
	r.Set("blog", Route{Addrs: []string{startReplying(t, "hello")}, HTTP2: true})
	if status, _ := get(t, addr, "blog.localhost"); status != 502 {
		t.Errorf("an app of HTTP/1: %d", status)
	}
	drained := r.Set("blog", Route{Addrs: []string{startReplying(t, "hello")}})
	if status, body := get(t, addr, "blog.localhost"); body != "hello" {
		t.Errorf("after the change: %d %s", status, body)
	}
	waitClosed(t, "the old process", drained)
}

// An app that does not answer in time gets its request ended, as over HTTP/1.
func TestHTTP2AppTimeout(t *testing.T) {
	r := &Router{ResponseTimeout: 50 * time.Millisecond}
	addr := start(t, r)
	left := make(chan struct{})
	r.Set("blog", Route{HTTP2: true, Addrs: []string{startHTTP2App(t, func(_ http.ResponseWriter, req *http.Request) {
		<-req.Context().Done()
		close(left)
	})}})
	if status, _ := get(t, addr, "blog.localhost"); status != 504 {
		t.Error(status)
	}
	waitClosed(t, "the app's request", left)
}
