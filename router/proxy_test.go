package router

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// What a client claims about itself is replaced; the rest reaches the app as it was sent.
func TestRequestHeader(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	seen := make(chan *http.Request, 1)
	r.Set("blog",
		routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) { seen <- req })))
	sendRaw(t, addr, strings.ReplaceAll(`GET /a%2fb//c|d?x=1;y=%zz HTTP/1.1
Host: Blog.localhost:8080
X-Forwarded-For: 1.1.1.1
X-Forwarded-Host: evil
X-Forwarded-Proto: https
X-Forwarded-Port: 1
X-Forwarded-Prefix: /evil
X_Forwarded_For: 1.1.1.1
X-Real-Ip: 1.1.1.1
Forwarded: for=1.1.1.1
Proxy: http://evil
X-Request-Id: abc-1
X-Hop: 1
Connection: keep-alive, X-Hop
Keep-Alive: 5
TE: gzip
X-Kept: 1
Cookie: a=b

`, "\n", "\r\n"))
	req := <-seen
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "Blog.localhost:8080",
		"X-Forwarded-Proto": "http",
		"X-Forwarded-Port":  "8080", "X-Request-Id": "abc-1", "X-Kept": "1", "Cookie": "a=b",
		"X-Forwarded-Prefix": "", "X_forwarded_for": "", "X-Real-Ip": "", "Forwarded": "",
		"Proxy": "",
		"X-Hop": "", "Connection": "", "Keep-Alive": "", "Te": "", "User-Agent": "",
		"Accept-Encoding": "",
	} {
		if got := strings.Join(req.Header[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if req.Host != "Blog.localhost:8080" || req.RequestURI != "/a%2fb//c|d?x=1;y=%zz" {
		t.Errorf("%q %q", req.Host, req.RequestURI)
	}

	sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nX-Request-Id: a\tb\r\n\r\n")
	req = <-seen
	if id := req.Header.Get("X-Request-Id"); id == "" || strings.Contains(id, "\t") ||
		req.Header.Get("X-Forwarded-Port") != "80" {
		t.Errorf("%q, %v", id, req.Header)
	}
}

// Requests that arrived over TLS are forwarded as https.
func TestForwardedProtoTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS() // for its certificate
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Router{Listener: tls.NewListener(l, &tls.Config{Certificates: s.TLS.Certificates})}
	addr := start(t, r)
	seen := make(chan http.Header, 1)
	r.Set("blog",
		routeTo(startBackend(t,
			func(w http.ResponseWriter, req *http.Request) { seen <- req.Header })))
	req := request(t, "GET", addr, "blog.localhost", "/", nil)
	req.URL.Scheme = "https"
	do(t, s.Client(), req)
	if h := <-seen; h.Get("X-Forwarded-Proto") != "https" || h.Get("X-Forwarded-Port") != "443" {
		t.Errorf("%v", h)
	}
}

// Over TLS too, a client can reuse its connection after a slow response, and gets a response after
// it has closed its side.
func TestSlowResponsesOverTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS() // for its certificate
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Router{Listener: tls.NewListener(l, &tls.Config{Certificates: s.TLS.Certificates})}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		time.Sleep(2 * hangupWatchDelay)
		io.WriteString(w, "slow")
	})))
	nc, _ := dial(t, addr)
	c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	br := bufio.NewReader(c)
	for i := range 3 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
		if i == 2 {
			c.CloseWrite()
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(i, err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "slow" || err != nil {
			t.Errorf("%d: %q %v", i, body, err)
		}
	}
	if _, err := br.ReadByte(); err != io.EOF {
		t.Error(err)
	}
}

// Every way to end a response is forwarded, and connections are kept or closed as the app asked.
func TestResponses(t *testing.T) {
	big := strings.Repeat("0123456789", 100_000)
	for _, c := range []struct {
		name, method, answer string
		status               int
		body                 string
		length               int64
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", 2},
		{"empty", "POST", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, "", 0},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", 200, "", 12345},
		{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 0},
		{"not modified", "GET",
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nEtag: \"x\"\r\n\r\n", 304, "", 0},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n" +
			" ho\r\n0\r\n\r\n", 200, "hi ho", -1},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nhi", 200, "hi", -1},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 200,
			"hi", 2},
		{"old", "GET", "HTTP/1.0 200 OK\r\n\r\nhi", 200, "hi", -1},
		{"large", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + big, 200, big,
			1000000},
		{"early", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n" +
			"Content-Length: 2\r\n\r\nhi", 200, "hi", 2},
		{"unasked 101", "GET",
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 502,
			"", 0},
		{"nonsense", "GET", "SSH-2.0-OpenSSH\r\n\r\n", 502, "", 0},
		{"nothing", "GET", "", 502, "", 0},
		{"header too long", "GET", "HTTP/1.1 200 OK\r\nX: " +
			strings.Repeat("x", maxResponseHeaderBytes) + "\r\n\r\n", 502, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &Router{}
			addr := start(t, r)
			r.Set("blog", routeTo(startRawBackend(t, func(nc net.Conn) {
				br := bufio.NewReader(nc)
				for {
					if _, err := readHead(br); err != nil {
						return
					}
					io.WriteString(nc, c.answer)
					if strings.Contains(c.name, "close") || c.name == "old" || c.status == 502 {
						if c.name != "close" { // that one announces it
							nc.(*net.TCPConn).CloseWrite()
						}
						io.Copy(io.Discard, nc)
						return
					}
				}
			})))
			cl := client(t)
			for range 3 {
				hints := 0
				req := request(t, c.method, addr, "blog.localhost", "/", nil)
				req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
						if code == 103 && h.Get("Link") == "</x>" {
							hints++
						}
						return nil
					}}))
				resp, body := do(t, cl, req)
				if resp.StatusCode != c.status || c.status != 502 &&
					(body != c.body || resp.ContentLength != c.length) {
					t.Fatalf("%s, %d bytes, length %d", resp.Status, len(body), resp.ContentLength)
				}
				if (c.name == "early") != (hints == 1) {
					t.Errorf("%d early hints", hints)
				}
			}
		})
	}
}

// A response that is cut off does not look complete to the client.
func TestIncompleteResponse(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
	} {
		r := &Router{}
		addr := start(t, r)
		r.Set("blog", routeTo(startRawBackend(t, func(nc net.Conn) {
			readHead(bufio.NewReader(nc))
			io.WriteString(nc, answer)
		})))
		resp, err := client(t).Do(request(t, "GET", addr, "blog.localhost", "/", nil))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%q: no error", answer)
		}
	}
}

// Trailers are forwarded in both directions.
func TestTrailers(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	seen := make(chan http.Header, 1)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		seen <- req.Trailer
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "out")
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	})))
	req := request(t, "POST", addr, "blog.localhost", "/",
		io.MultiReader(strings.NewReader("body")))
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Sum": {"in"}}
	resp, _ := do(t, client(t), req)
	if got := <-seen; got.Get("X-Sum") != "in" {
		t.Errorf("request: %v", got)
	}
	if resp.Trailer.Get("X-Sum") != "out" || resp.Trailer.Get("X-Late") != "late" {
		t.Errorf("answer: %v", resp.Trailer)
	}
}

// Chunks and events reach the client as they are produced.
func TestStreaming(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "application/x-ndjson"} {
		r := &Router{}
		addr := start(t, r)
		step := make(chan string)
		r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.(http.Flusher).Flush()
			for s := range step {
				io.WriteString(w, s)
				w.(http.Flusher).Flush()
			}
		})))
		resp, err := client(t).Do(request(t, "GET", addr, "blog.localhost", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"data: 1\n\n", "data: 2\n\n"} {
			step <- s
			got := make([]byte, len(s))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != s {
				t.Errorf("%q %v", got, err)
			}
		}
		close(step)
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("%q %v", rest, err)
		}
		resp.Body.Close()
	}
}

// The app sees that a client has left.
func TestClientLeaves(t *testing.T) {
	r := &Router{HalfCloseTimeout: time.Millisecond}
	addr := start(t, r)
	arrived, left := make(chan struct{}), make(chan struct{})
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		close(arrived)
		<-req.Context().Done()
		close(left)
	})))
	c, _ := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	waitClosed(t, "request at the app", arrived)
	c.Close()
	waitClosed(t, "app told", left)
	waitClosed(t, "drained", r.Set("blog", Route{}))
}

// An app that accepts a connection but sends nothing gets no more than ResponseTimeout.
func TestSlowApp(t *testing.T) {
	r := &Router{ResponseTimeout: 30 * time.Millisecond}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) { io.Copy(io.Discard, c) })))
	for _, size := range []int{0, 10, 3 * bufferSize} {
		resp, _ := do(t, client(t),
			request(t, "POST", addr, "blog.localhost", "/", bytes.NewReader(make([]byte, size))))
		if resp.StatusCode != 504 {
			t.Errorf("%d bytes: %s", size, resp.Status)
		}
	}
	// The limit is for the start of the response; the rest may take longer.
	r.Set("slow", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		w.(http.Flusher).Flush()
		time.Sleep(3 * r.ResponseTimeout)
		io.WriteString(w, "late")
	})))
	for _, size := range []int{0, 10, 3 * bufferSize} {
		if _, body := do(t, client(t),
			request(t, "POST", addr, "slow.localhost", "/",
				bytes.NewReader(make([]byte, size)))); body != "late" {
			t.Errorf("%d bytes: %q", size, body)
		}
	}
}

// Servers in front of CGI treat more than '_' as '-': lighttpd treats every character that is
// neither a letter nor a digit that way.
func TestReservedNamesInDisguise(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, heads := script(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	r.Set("blog", routeTo(app))
	for _, name := range []string{"X.Forwarded.For", "x~real|IP", "X-Forwarded.Proto",
		"Content.Length", "Transfer'Encoding", "x!request+id"} {
		sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nX.Y: 1\r\n"+name+": 7\r\n\r\n")
		if got := <-heads; strings.Contains(got, name) || !strings.Contains(got, "X.Y: 1\r\n") {
			t.Errorf("%s: the app saw %q", name, got)
		}
	}
}
