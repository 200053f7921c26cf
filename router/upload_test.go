package router

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Bodies of any size and framing arrive completely and are not buffered first.
func TestBodies(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		h := sha256.New()
		n, _ := io.Copy(h, req.Body)
		fmt.Fprintf(w, "%d %x %d", n, h.Sum(nil), req.ContentLength)
	})))
	c := client(t)
	for _, size := range []int{1, 100, bufferSize - 1, bufferSize, bufferSize + 1, 1 << 20,
		8 << 20} {
		data := make([]byte, size)
		rand.New(rand.NewSource(int64(size))).Read(data)
		for _, chunked := range []bool{false, true} {
			req := request(t, "POST", addr, "blog.localhost", "/",
				io.MultiReader(strings.NewReader(string(data))))
			req.ContentLength = int64(size)
			if chunked {
				req.ContentLength = -1
			}
			want := fmt.Sprintf("%d %x %d", size, sha256.Sum256(data), req.ContentLength)
			if _, got := do(t, c, req); got != want {
				t.Errorf("%d bytes, chunked %v: %q, want %q", size, chunked, got, want)
			}
		}
	}
}

// Both directions at once: each line comes back before the next is sent.
func TestDuplex(t *testing.T) {
	r := &Router{ResponseTimeout: 300 * time.Millisecond} // limits only the start of the response
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex()
		rc.Flush()
		br := bufio.NewReader(req.Body)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				time.Sleep(2 * r.ResponseTimeout)
				io.WriteString(w, "end")
				return
			}
			io.WriteString(w, line)
			rc.Flush()
		}
	})))
	pr, pw := io.Pipe()
	resp, err := client(t).Do(request(t, "POST", addr, "blog.localhost", "/", pr))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for i := range 20 {
		fmt.Fprintf(pw, "line %d\n", i)
		if got, err := br.ReadString('\n'); err != nil || got != fmt.Sprintf("line %d\n", i) {
			t.Fatalf("%q %v", got, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(br); err != nil || string(rest) != "end" {
		t.Errorf("%q %v", rest, err)
	}
}

// An app may respond before it has the whole body. The client gets the response, and the rest of
// the body is never taken for a request.
func TestEarlyResponse(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		if head, _ := readHead(bufio.NewReader(c)); strings.HasPrefix(head, "GET") {
			io.WriteString(c, ok2)
			return
		}
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, c)
	})))
	c, br := dial(t, addr)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nContent-Length: 1000000\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 413 || !resp.Close {
		t.Fatal(resp, err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "no" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	if rest, _ := io.ReadAll(br); len(rest) > 0 {
		t.Errorf("also answered: %q", rest)
	}
	// on the same connection it would be part of the body
	if s, _ := get(t, addr, "blog.localhost"); s != 200 {
		t.Errorf("next: %d", s)
	}
	waitClosed(t, "drained", r.Set("blog", Route{}))
}

// Expect: 100-continue is forwarded to the app. If the app ignores it, the client does not wait
// long.
func TestExpectContinue(t *testing.T) {
	ask := "POST / HTTP/1.1\r\nHost: blog.localhost\r\nContent-Length: 2\r\n" +
		"Expect: 100-continue\r\n\r\n"
	for name, c := range map[string]struct {
		serve  func(net.Conn, *bufio.Reader)
		status []int
	}{
		"says so": {func(c net.Conn, br *bufio.Reader) {
			if br.Buffered() > 0 {
				return // the body came without a request for it: 502
			}
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			io.ReadFull(br, make([]byte, 2))
			io.WriteString(c, ok2)
		}, []int{100, 200}},
		"refuses": {func(c net.Conn, br *bufio.Reader) {
			io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
			io.Copy(io.Discard, br)
		}, []int{401}},
		"does not know": {func(c net.Conn, br *bufio.Reader) {
			io.ReadFull(br, make([]byte, 2))
			io.WriteString(c, ok2)
		}, []int{100, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Router{}
			addr := start(t, r)
			r.Set("blog", routeTo(startRawBackend(t, func(nc net.Conn) {
				br := bufio.NewReader(nc)
				if _, err := readHead(br); err == nil {
					c.serve(nc, br)
				}
			})))
			nc, br := dial(t, addr)
			io.WriteString(nc, ask)
			for _, want := range c.status {
				resp, err := http.ReadResponse(br, nil)
				if err != nil || resp.StatusCode != want {
					t.Fatalf("want %d: %v %v", want, resp, err)
				}
				if want == 100 {
					io.WriteString(nc, "hi")
				}
			}
		})
	}
}

// A client that stops in the middle of a body gets 408, whatever its size. A small body does not
// delay a drain.
func TestStalledBody(t *testing.T) {
	for name, c := range map[string]struct{ head, part string }{
		"small":   {"Content-Length: 10", "xx"},
		"large":   {"Content-Length: 1000000", "xx"},
		"chunked": {"Transfer-Encoding: chunked", "2\r\nxx\r\n"},
	} {
		r := &Router{StallTimeout: 50 * time.Millisecond}
		addr := start(t, r)
		r.Set("blog",
			routeTo(startBackend(t,
				func(w http.ResponseWriter, req *http.Request) { io.ReadAll(req.Body) })))
		nc, br := dial(t, addr)
		fmt.Fprintf(nc, "POST / HTTP/1.1\r\nHost: blog.localhost\r\n%s\r\n\r\n%s", c.head, c.part)
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 408 ||
			!resp.Close {
			t.Errorf("%s: %v %v", name, resp, err)
		}
	}
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startReplying(t, "hi")))
	nc, _ := dial(t, addr)
	fmt.Fprintf(nc, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nContent-Length: 10\r\n\r\nxx")
	get(t, addr, "blog.localhost")
	if !isClosed(r.Set("blog", Route{})) {
		t.Error("an incomplete body delays the drain")
	}
}

// A body that is cut off never looks complete to the app.
func TestBrokenBody(t *testing.T) {
	for _, framing := range []string{"Content-Length: 1000000\r\n\r\nxx",
		"Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n",
		"Transfer-Encoding: chunked\r\n\r\nzz\r\n"} {
		r := &Router{}
		addr := start(t, r)
		read := make(chan error, 1)
		r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
			_, err := io.ReadAll(req.Body)
			read <- err
		})))
		nc, _ := dial(t, addr)
		io.WriteString(nc, "POST / HTTP/1.1\r\nHost: blog.localhost\r\n"+framing)
		nc.(*net.TCPConn).CloseWrite()
		select {
		case err := <-read:
			if err == nil {
				t.Errorf("%q: complete", framing)
			}
		case <-time.After(testTimeout):
			t.Errorf("%q: the app waits", framing)
		}
		waitClosed(t, "drained", r.Set("blog", Route{}))
	}
}

// A client gets 100 (Continue) on a connection that was idle for longer than StallTimeout.
func TestContinueOnIdleConnection(t *testing.T) {
	r := &Router{StallTimeout: 500 * time.Millisecond}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) { // ignores Expect
		br := bufio.NewReader(c)
		for head, err := readHead(br); err == nil; head, err = readHead(br) {
			if strings.HasPrefix(head, "POST") {
				br.Discard(2)
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	time.Sleep(2 * r.StallTimeout)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nContent-Length: 2\r\n"+
		"Expect: 100-continue\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 100 {
		t.Fatal(resp, err)
	}
	io.WriteString(c, "hi")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		t.Error(resp, err)
	}
}
