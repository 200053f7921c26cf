package router

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var sockets atomic.Int64 // so far

// through runs a router on a socket in folder. A client sends send and closes its side; serve is
// the app and gets each connection. through returns what the client received.
func through(t *testing.T, folder string, send []byte, serve func(net.Conn)) string {
	var log logRecorder
	// With a port for each, connections to recently used ports would fail.
	l, err := net.Listen("unix", filepath.Join(folder, strconv.FormatInt(sockets.Add(1), 10)))
	if err != nil {
		t.Fatal(err)
	}
	r := &Router{
		Listener: l, Log: slog.New(slog.NewTextHandler(&log, nil)), StopTimeout: time.Second,
		ResponseTimeout: 20 * time.Millisecond,
	}
	r.Dial = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			serve(far)
		}()
		return near, nil
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	r.Set("blog", routeTo("127.0.0.1:1"))
	c, err := net.Dial("unix", r.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c.Write(send)
		closeWrite(c)
	}()
	c.SetReadDeadline(time.Now().Add(testTimeout))
	heard, err := io.ReadAll(c)
	if isTimeout(err) {
		t.Errorf("%q: the session does not end, after %q", send, heard)
	}
	c.Close()
	stop()
	select {
	case <-ended:
	case <-time.After(testTimeout):
		t.Error("Run does not end")
	}
	for _, line := range log.take() {
		if strings.Contains(line, "panic") {
			t.Error(line)
		}
	}
	return string(heard)
}

// Whatever a client sends, the app reads only complete requests, each with the router's own fields,
// and the client reads only complete responses.
func FuzzSession(f *testing.F) {
	folder := f.TempDir()
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\nGET /2 HTTP/1.1\r\n" +
			"Host: blog.localhost\r\nConnection: close\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: blog.localhost\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n" +
			"hi\r\n0\r\nX: y\r\n\r\nHEAD / HTTP/1.0\r\nHost: blog.localhost\r\n\r\n",
		"PUT /a HTTP/1.1\r\nHost: blog.localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n" +
			"\r\nabcDELETE / HTTP/1.1\r\nHost: blog.localhost\r\nX_Forwarded_For: 7\r\n\r\n",
		"GET http://blog.localhost:80/ HTTP/1.1\r\nHost: x\r\n" +
			"Connection: Upgrade, X-Forwarded-For\r\nUpgrade: websocket\r\n\r\nmore",
		"POST / HTTP/1.1\r\nHost: blog.localhost\r\nContent-Length: 5\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"CONNECT blog.localhost:80 HTTP/1.1\r\nHost: blog.localhost\r\n\r\nOPTIONS * HTTP/1.1\r\n" +
			"Host: nobody.localhost\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		heard := through(t, folder, text, func(c net.Conn) {
			br := bufio.NewReader(c)
			for {
				if _, err := br.Peek(1); err != nil {
					return
				}
				req, err := http.ReadRequest(br)
				if err != nil {
					if br.Buffered() == 0 || strings.Contains(err.Error(), "parse ") {
						return // incomplete, or refused by net/url
					}
					t.Errorf("%q: the app reads %v", text, err)
					return
				}
				if h := req.Header; len(h.Values("X-Forwarded-For")) != 1 ||
					len(h.Values("X-Request-Id")) != 1 || h.Get("X_Forwarded_For") != "" {
					t.Errorf("%q: the app reads %v", text, h)
				}
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					return
				}
				io.WriteString(c, ok2[:len(ok2)-2])
				if req.Method != "HEAD" {
					io.WriteString(c, "hi")
				}
			}
		})
		wholeAnswers(t, text, heard, strings.Contains(strings.ToUpper(string(text)), "HEAD"))
	})
}

// wholeAnswers checks that heard is a sequence of responses to GET.
func wholeAnswers(t *testing.T, text []byte, heard string, anyMethod bool) (n int) {
	br := bufio.NewReader(strings.NewReader(heard))
	for ; ; n++ {
		if _, err := br.Peek(1); err != nil {
			return n
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			if !anyMethod {
				t.Errorf("%q: the client reads %q: %v", text, heard, err)
			}
			return n
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return n // incomplete
		}
		if resp.Close && !anyMethod {
			if rest, _ := io.ReadAll(br); len(rest) > 0 {
				t.Errorf("%q: after the last answer the client reads %q", text, rest)
			}
		}
	}
}

// Whatever an app sends, the client reads no more responses than it made requests, and nothing
// between or after them.
func FuzzApp(f *testing.F) {
	folder := f.TempDir()
	for _, text := range []string{
		ok2, ok2 + ok2, "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 103 Early\r\nX: y\r\n\r\n" + ok2, "HTTP/1.1 304 No\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nhi",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata",
		"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n" + ok2,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const ask = "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n"
		heard := through(t, folder, []byte(ask+ask), func(c net.Conn) {
			br := bufio.NewReader(c)
			for {
				// ends a response without a length
				c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				if _, err := readHead(br); err != nil {
					return
				}
				if _, err := c.Write(text); err != nil ||
					!strings.Contains(string(text), "\n\r\n") {
					return
				}
			}
		})
		for i := range len(text) {
			if c := text[i]; c < ' ' && c != '\r' && c != '\n' && c != '\t' || c == 0x7f {
				return // a client may refuse control characters
			}
		}
		hints := strings.Count(heard, "HTTP/1.1 1")
		if n := wholeAnswers(t, text, heard, false); n > 2+hints {
			t.Errorf("%q: %d answers to two requests: %q", text, n, heard)
		}
	})
}
