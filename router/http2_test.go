package router

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// http2Client returns a client that speaks HTTP/2 with serverName.
func http2Client(t *testing.T, serverName string) *http.Client {
	c := secureClient(t, serverName)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	return c
}

// startHTTP2 runs r with an app, and returns the address for HTTP/2.
func startHTTP2(t *testing.T, r *Router, app http.HandlerFunc) (addr string) {
	t.Helper()
	_, addr = startHTTPS(t, r, "localhost")
	r.Set("blog", routeTo(startBackend(t, app)))
	return addr
}

func http2Request(t *testing.T, method, addr, path string, body io.Reader) *http.Request {
	t.Helper()
	req := request(t, method, addr, "blog.localhost", path, body)
	req.URL.Scheme = "https"
	return req
}

// A request over HTTP/2 reaches the app as one of HTTP/1.1, and its response comes back whole.
func TestHTTP2(t *testing.T) {
	r := &Router{}
	addr := startHTTP2(t, r, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		h := w.Header()
		h["Content-Type"] = nil
		h.Set("X-Seen", fmt.Sprintf("%s %s %s %d %v %s", req.Proto, req.Method, req.RequestURI, req.ContentLength,
			req.TransferEncoding, req.Header.Get("X-Forwarded-Proto")))
		h.Set("X-Trailer", req.Trailer.Get("Checksum"))
		h.Set("X-Cookie", req.Header.Get("Cookie"))
		if req.URL.Path == "/trailer" {
			h.Set("Trailer", "Sum")
			defer h.Set("Sum", "7")
		}
		if req.URL.Path == "/early" {
			h.Set("Link", "</a.css>")
			w.WriteHeader(103)
			h.Del("Link")
		}
		if req.URL.Path == "/empty" {
			w.WriteHeader(204)
			return
		}
		w.Write(body)
	})
	c := http2Client(t, "blog.localhost")
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, test := range []struct {
		method, path, body string
		unknown            bool
		seen               string
	}{
		{"GET", "/a%20b?c=d", "", false, "HTTP/1.1 GET /a%20b?c=d 0 [] https"},
		{"HEAD", "/", "", false, "HTTP/1.1 HEAD / 0 [] https"},
		{"POST", "/", "small", false, "HTTP/1.1 POST / 5 [] https"},
		{"POST", "/", "small", true, "HTTP/1.1 POST / -1 [chunked] https"},
		{"PUT", "/", large, false, fmt.Sprintf("HTTP/1.1 PUT / %d [] https", len(large))},
		{"PUT", "/", large, true, "HTTP/1.1 PUT / -1 [chunked] https"},
		{"GET", "/empty", "", false, "HTTP/1.1 GET /empty 0 [] https"},
	} {
		req := http2Request(t, test.method, addr, test.path, strings.NewReader(test.body))
		if test.unknown {
			req.ContentLength = -1
			req.Trailer = http.Header{"Checksum": {"9"}}
		}
		resp, body := do(t, c, req)
		if resp.ProtoMajor != 2 || body != test.body || resp.Header.Get("X-Seen") != test.seen {
			t.Errorf("%s %s: %s, %d bytes, the app saw %s", test.method, test.path, resp.Proto, len(body),
				resp.Header.Get("X-Seen"))
		}
		if got := resp.Header.Get("X-Trailer"); test.unknown && got != "9" {
			t.Errorf("%s %s: the app saw the trailer %q", test.method, test.path, got)
		}
		if got := resp.Header.Values("Content-Type"); len(got) > 0 {
			t.Errorf("%s %s: the type %q was guessed", test.method, test.path, got)
		}
		if resp.Header.Get("Date") == "" {
			t.Errorf("%s %s: no date", test.method, test.path)
		}
	}
	resp, _ := do(t, c, http2Request(t, "GET", addr, "/trailer", nil))
	if got := resp.Trailer.Get("Sum"); got != "7" {
		t.Errorf("trailer: %q", got)
	}
	req := http2Request(t, "GET", addr, "/", nil)
	req.Header["Cookie"] = []string{"a=1", "b=2"}
	if resp, _ := do(t, c, req); resp.Header.Get("X-Cookie") != "a=1; b=2" {
		t.Errorf("cookies: %q", resp.Header.Get("X-Cookie"))
	}
	early := ""
	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		early = h.Get("Link")
		return nil
	}}
	req = http2Request(t, "GET", addr, "/early", nil)
	resp, _ = do(t, c, req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if early != "</a.css>" || resp.Header.Get("Link") != "" {
		t.Errorf("early hints: %q, then %q", early, resp.Header.Get("Link"))
	}
}

// Pages, rules and the check of the name are those of HTTP/1.
func TestHTTP2Refusals(t *testing.T) {
	r := &Router{}
	addr := startHTTP2(t, r, func(http.ResponseWriter, *http.Request) {})
	c := http2Client(t, "blog.localhost")
	other := http2Request(t, "GET", addr, "/", nil)
	other.Host = "shop.localhost"
	r.Set("shop", Route{})
	if resp, _ := do(t, c, other); resp.StatusCode != 421 {
		t.Errorf("another app: %s", resp.Status)
	}
	if resp, _ := do(t, c, http2Request(t, "TRACE", addr, "/", nil)); resp.StatusCode != 405 {
		t.Errorf("TRACE: %s", resp.Status)
	}
	r.Set("blog", Route{State: Down})
	resp, body := do(t, c, http2Request(t, "POST", addr, "/", strings.NewReader("x")))
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "down") {
		t.Errorf("down: %s %s", resp.Status, body)
	}
	r.Set("blog", Route{State: Down, Rules: Rules{MaxBody: 10}})
	if resp, _ := do(t, c, http2Request(t, "POST", addr, "/", strings.NewReader(repeat(11)))); resp.StatusCode != 413 {
		t.Errorf("too large: %s", resp.Status)
	}
	req := http2Request(t, "GET", addr, "/", nil)
	req.Header.Set("X-Long", repeat(maxHeaderBytes+1000))
	if resp, err := c.Do(req); err == nil && resp.StatusCode != 431 {
		t.Errorf("a long header: %s", resp.Status)
	}
}

// As many fields are too many as over HTTP/1: apps drop or refuse them in ways of their own.
func TestHTTP2ManyFields(t *testing.T) {
	addr := startHTTP2(t, &Router{}, func(http.ResponseWriter, *http.Request) {})
	for fields, want := range map[int]int{maxFields - 10: 200, maxFields + 1: 431} {
		req := http2Request(t, "GET", addr, "/", nil)
		req.Header["X"] = slices.Repeat([]string{"y"}, fields)
		if resp, _ := do(t, http2Client(t, "blog.localhost"), req); resp.StatusCode != want {
			t.Errorf("%d fields: %s, want %d", fields, resp.Status, want)
		}
	}
}

// A response arrives as the app sends it. One that breaks off is not taken for complete. An app
// learns that the client has left.
func TestHTTP2Streams(t *testing.T) {
	r := &Router{}
	goOn, left := make(chan struct{}), make(chan struct{})
	addr := startHTTP2(t, r, func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			<-goOn
			io.WriteString(w, "data: 2\n\n")
		case "/break":
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/wait":
			<-req.Context().Done()
			close(left)
		}
	})
	c := http2Client(t, "blog.localhost")
	resp, err := c.Do(http2Request(t, "GET", addr, "/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(resp.Body)
	if line, _ := br.ReadString('\n'); line != "data: 1\n" {
		t.Errorf("first event: %q", line)
	}
	close(goOn)
	if rest, err := io.ReadAll(br); string(rest) != "\ndata: 2\n\n" || err != nil {
		t.Errorf("second event: %q %v", rest, err)
	}
	resp, err = c.Do(http2Request(t, "GET", addr, "/break", nil))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a broken response looks complete: %q", body)
	}
	c.Timeout = 200 * time.Millisecond
	if _, err := c.Do(http2Request(t, "GET", addr, "/wait", nil)); err == nil {
		t.Error("there was a response")
	}
	waitClosed(t, "the app's request", left)
}

// A stop lets requests in flight end, and ends idle connections; so does one that leaves to another
// router.
func TestHTTP2Stop(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		testHTTP2Stop(t, leaves)
	}
}

func testHTTP2Stop(t *testing.T, leaves bool) {
	r := &Router{StopTimeout: testTimeout}
	arrived, goOn, answered := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	t.Run("run", func(t *testing.T) {
		_, addr := startHTTPS(t, r, "localhost")
		r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
			c.Read(make([]byte, 1000))
			close(arrived)
			<-goOn
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
		})))
		idle := http2Request(t, "GET", addr, "/", nil)
		idle.Host = "nobody.localhost"
		do(t, http2Client(t, "nobody.localhost"), idle)
		go func() {
			resp, err := http2Client(t, "blog.localhost").Do(http2Request(t, "GET", addr, "/", nil))
			if err != nil {
				answered <- err.Error()
				return
			}
			body, _ := io.ReadAll(resp.Body)
			answered <- string(body)
		}()
		waitClosed(t, "the request", arrived)
		if leaves {
			r.Leave()
		}
		running := r.flights.Load()
		go func() {
			waitFor(t, "the stop", func() bool { return r.flights.Load() != running || isClosed(r.closing) })
			close(goOn)
		}()
	})
	if got := <-answered; got != "done" {
		t.Errorf("in flight: %s", got)
	}
}

// frames is a client that writes frames of HTTP/2 itself (RFC 9113, section 4.1).
type frames struct {
	net.Conn
	t testing.TB
}

// Types and flags of frames.
const (
	frameData, frameHeaders, frameReset, frameSettings = 0, 1, 3, 4
	frameGoAway, frameContinuation                     = 7, 9
	endStream, endHeaders                              = 1, 4
)

func dialFrames(t testing.TB, addr string) *frames {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{
		ServerName: "blog.localhost", InsecureSkipVerify: true, NextProtos: []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * testTimeout))
	f := &frames{c, t}
	io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	f.send(frameSettings, 0, 0, nil)
	return f
}

// send writes a frame. The error is that of the connection.
func (f *frames) send(kind, flags byte, stream uint32, payload []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, err := f.Write(append(head, payload...))
	return err
}

// block is a header in literals (RFC 7541, section 6.2.2). Names and values take up to 126 bytes.
func block(pairs ...string) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		b = append(append(append(b, 0, byte(len(pairs[i]))), pairs[i]...), byte(len(pairs[i+1])))
		b = append(b, pairs[i+1]...)
	}
	return b
}

// outcome reads until stream has a header, which it returns, or is reset or the connection ends.
func (f *frames) outcome(stream uint32) (header []byte) {
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(f, head); err != nil {
			return nil
		}
		payload := make([]byte, binary.BigEndian.Uint32(head)>>8)
		if _, err := io.ReadFull(f, payload); err != nil {
			return nil
		}
		of := binary.BigEndian.Uint32(head[5:])
		switch kind := head[3]; {
		case kind == frameGoAway, kind == frameReset && of == stream:
			return nil
		case kind == frameHeaders && of == stream:
			return payload
		}
	}
}

// What could be one request over HTTP/2 and two over HTTP/1 is refused: the app gets exactly the
// requests that were meant.
func TestHTTP2Smuggling(t *testing.T) {
	r := &Router{}
	var got atomic.Int64
	addr := startHTTP2(t, r, func(_ http.ResponseWriter, req *http.Request) {
		n, err := io.Copy(io.Discard, req.Body)
		if err == nil && (n > 0 || req.RequestURI != "/") { // its header may be answered before a bad body arrives
			got.Add(1)
		}
	})
	pseudo := []string{":method", "POST", ":scheme", "https", ":path", "/", ":authority", "blog.localhost"}
	with := func(more ...string) []string { return slices.Concat(pseudo, more) }
	instead := func(name, value string) []string {
		all := with()
		for i := 0; i < len(all); i += 2 {
			if all[i] == name {
				all[i+1] = value
			}
		}
		return all
	}
	const smuggled = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: blog.localhost\r\n\r\n"
	for name, header := range map[string][]string{
		"Transfer-Encoding":               with("transfer-encoding", "chunked"),
		"a length below that of the body": with("content-length", "0"),
		"a length above":                  with("content-length", "1000"),
		"two lengths":                     with("content-length", "50", "content-length", "50"),
		"a length with a sign":            with("content-length", "+50"),
		"a length that is no number":      with("content-length", "x"),
		"a line break in a value":         with("x-a", "b\r\nTransfer-Encoding: chunked"),
		"a line break in a name":          with("x-a\r\nb", "c"),
		"a colon in a name":               with("x-a: b", "c"),
		"capitals":                        with("Content-Length", "0"),
		"Connection":                      with("connection", "content-length"),
		"a space in the path":             instead(":path", "/ HTTP/1.1\r\nHost: x"),
		"a path that is none":             instead(":path", "blog"),
		"a space in the method":           instead(":method", "GET / HTTP/1.1\r\nX: "),
		"a bad host":                      instead(":authority", "blog.localhost\r\nX: y"),
		"a pseudo field at the end":       with("a", "b", ":path", "/x"),
		"two paths":                       with(":path", "/x"),
		"a Host that is another":          with("host", "shop.localhost"),
		"two Hosts":                       with("host", "blog.localhost", "host", "blog.localhost"),
		"a path for OPTIONS alone":        instead(":path", "*"),
	} {
		f := dialFrames(t, addr)
		f.send(frameHeaders, endHeaders, 1, block(header...))
		f.send(frameData, endStream, 1, []byte(smuggled))
		f.outcome(1)
		if n := got.Swap(0); n > 0 {
			t.Errorf("%s: the app got %d requests", name, n)
		}
	}
	f := dialFrames(t, addr)
	f.send(frameHeaders, endHeaders, 1, block(with("host", "blog.localhost", "content-length", fmt.Sprint(len(smuggled)))...))
	f.send(frameData, endStream, 1, []byte(smuggled))
	if head := f.outcome(1); got.Load() != 1 {
		t.Errorf("a right one: the app got %d requests: %q", got.Load(), head)
	}
}

// A client that opens streams and resets them at once gets no more of the app's time than one that
// waits for its responses (CVE-2023-44487).
func TestHTTP2RapidReset(t *testing.T) {
	r := &Router{}
	var inApp, most atomic.Int64
	addr := startHTTP2(t, r, func(_ http.ResponseWriter, req *http.Request) {
		if n := inApp.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer inApp.Add(-1)
		<-req.Context().Done()
	})
	f := dialFrames(t, addr)
	header := block(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "blog.localhost")
	go io.Copy(io.Discard, f.Conn)
	var err error
	for n := uint32(0); err == nil && n < 20_000; n++ {
		if err = f.send(frameHeaders, endHeaders|endStream, 2*n+1, header); err == nil {
			err = f.send(frameReset, 0, 2*n+1, []byte{0, 0, 0, 8})
		}
	}
	if n := most.Load(); n > 2*maxStreams {
		t.Errorf("the app had %d requests at once", n)
	}
	if resp, _ := do(t, http2Client(t, "nobody.localhost"), func() *http.Request {
		req := http2Request(t, "GET", addr, "/", nil)
		req.Host = "nobody.localhost"
		return req
	}()); resp.StatusCode != 404 {
		t.Errorf("another client: %s", resp.Status)
	}
	f.Close()
	waitFor(t, "the end of the requests", func() bool { return inApp.Load() == 0 })
}

// A header that never ends, in frames of CONTINUATION, ends the connection (CVE-2023-45288).
func TestHTTP2ContinuationFlood(t *testing.T) {
	r := &Router{}
	addr := startHTTP2(t, r, func(http.ResponseWriter, *http.Request) { t.Error("the app got a request") })
	f := dialFrames(t, addr)
	go io.Copy(io.Discard, f.Conn)
	f.send(frameHeaders, 0, 1, block(":method", "GET", ":scheme", "https", ":path", "/"))
	fill := bytes.Repeat(block("x-fill", repeat(100)), 100)
	sent := 0
	var err error
	for err == nil && sent < 64<<20 {
		err = f.send(frameContinuation, 0, 1, fill)
		sent += len(fill)
	}
	if err == nil {
		t.Errorf("%d bytes were taken", sent)
	}
	if errors.Is(err, net.ErrClosed) {
		t.Error("the client closed the connection itself")
	}
}

// Real clients speak HTTP/2 with the router, and choose HTTP/1.1 for websockets.
func TestHTTP2RealClients(t *testing.T) {
	r := &Router{}
	addr := startHTTP2(t, r, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") == "" {
			body, _ := io.ReadAll(req.Body)
			fmt.Fprintf(w, "hello %d %s\n", len(body), req.Header.Get("X-Forwarded-Proto"))
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfrom the socket\n")
			c.Close()
		}
	})
	_, port, _ := net.SplitHostPort(addr)
	url := "https://blog.localhost:" + port + "/"
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, bytes.Repeat([]byte("x"), 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	curl := []string{"curl", "-sSk", "--resolve", "blog.localhost:" + port + ":127.0.0.1", "-w", "%{http_version}"}
	for _, c := range []struct {
		words []string
		want  string
	}{
		{append(curl, url), "hello 0 https\n2"},
		{append(curl, "--http1.1", url), "hello 0 https\n1.1"},
		{append(curl, "--data-binary", "@"+upload, url), "hello 3145728 https\n2"},
		{append(curl, "-T", upload, "-H", "Expect: 100-continue", url), "hello 3145728 https\n2"},
		{append(curl, "--http1.1", "-N", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", url), "from the socket\n1.1"},
		{[]string{"h2load", "-n", "2000", "-c", "4", "-m", "32", "--connect-to=" + addr, url}, "2000 succeeded, 0 failed"},
		{[]string{"h2load", "-n", "50", "-c", "2", "-m", "8", "-d", upload, "--connect-to=" + addr, url}, "50 succeeded, 0 failed"},
	} {
		t.Run(strings.Join(c.words[:1], " "), func(t *testing.T) {
			if _, err := exec.LookPath(c.words[0]); err != nil {
				t.Skip("SKIP: no " + c.words[0] + " on this machine")
			}
			out, err := exec.Command(c.words[0], c.words[1:]...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%q: %v\n%s", c.words, err, out)
			}
		})
	}
}

// A client that opens no window for a response, or sends only part of a body, is given up after
// StallTimeout.
func TestHTTP2Stalls(t *testing.T) {
	r := &Router{StallTimeout: 200 * time.Millisecond}
	ended := make(chan struct{}, 2)
	addr := startHTTP2(t, r, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				ended <- struct{}{}
				return
			}
		}
	})
	f := dialFrames(t, addr)
	f.send(frameSettings, 0, 0, []byte{0, 4, 0, 0, 0, 0}) // SETTINGS_INITIAL_WINDOW_SIZE
	go io.Copy(io.Discard, f.Conn)
	header := block(":method", "GET", ":scheme", "https", ":path", "/", ":authority", "blog.localhost")
	f.send(frameHeaders, endHeaders|endStream, 1, header)
	select {
	case <-ended:
	case <-time.After(testTimeout):
		t.Error("the app still writes")
	}
	f = dialFrames(t, addr)
	f.send(frameHeaders, endHeaders, 1, block(":method", "POST", ":scheme", "https", ":path", "/",
		":authority", "blog.localhost", "content-length", "9"))
	f.send(frameData, 0, 1, []byte("half"))
	if f.outcome(1) == nil {
		t.Error("no response says that the body did not arrive in time")
	}
}
