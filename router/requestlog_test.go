package router

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// appLogRecorder records what is logged about an app.
type appLogRecorder struct {
	mu     sync.Mutex
	lines  bytes.Buffer
	notes  []string
	closed bool
	block  chan struct{} // if not nil, Requests waits until it is closed
}

func (l *appLogRecorder) Requests(lines []byte) {
	if l.block != nil {
		<-l.block
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines.Write(lines)
}

func (l *appLogRecorder) Note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, text)
}

func (l *appLogRecorder) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// last waits for n lines and returns the last one.
func (l *appLogRecorder) last(t testing.TB, n int) string {
	t.Helper()
	var all []string
	waitFor(t, fmt.Sprintf("line %d", n), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		all = strings.Split(l.lines.String(), "\n")
		return len(all) > n
	})
	return all[n-1]
}

// startLogged starts a router that logs to log.
func startLogged(t testing.TB, log *appLogRecorder) (*Router, string) {
	t.Helper()
	r := &Router{AppLog: func(string) AppLog { return log }}
	return r, start(t, r)
}

// Each request of an app has a line, also if the router answers it. The query stays out, for it may
// be a secret.
func TestRequestLog(t *testing.T) {
	log := &appLogRecorder{}
	r, addr := startLogged(t, log)
	app := startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		w.WriteHeader(201)
		io.WriteString(w, "hello")
	})
	mute := startRawBackend(t, func(c net.Conn) { io.ReadFull(c, make([]byte, 20)) })
	for n, c := range []struct {
		route        Route
		method, path string
		want         string
	}{
		{routeTo(app), "POST", "/a/b?token=secret",
			`method=POST path=/a/b status=201 bytes=5 time=[0-9]+\.[0-9]{3}ms from=127.0.0.1 host=blog.localhost id=me`},
		{routeTo(app), "HEAD", "/", `method=HEAD path=/ status=201 bytes=0 .*`},
		{routeTo(mute), "GET", "/%22?x", `method=GET path=/%22 status=502 bytes=[1-9].*`},
		{Route{State: Down}, "GET", "/", `method=GET path=/ status=503 bytes=[1-9].*`},
	} {
		r.Set("blog", c.route)
		req := request(t, c.method, addr, "blog.localhost", c.path, nil)
		req.Header.Set("X-Request-Id", "me")
		do(t, client(t), req)
		got := log.last(t, n+1)
		if !regexp.MustCompile("^" + c.want + "$").MatchString(got) {
			t.Errorf("%s %s: %s", c.method, c.path, got)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%s has the query", got)
		}
	}
	r.Remove("blog")
	waitFor(t, "the log's end", func() bool { log.mu.Lock(); defer log.mu.Unlock(); return log.closed })
}

// A path cannot end a value or a line.
func TestRequestLogPath(t *testing.T) {
	if got := string(appendSafe(nil, "/a b\n\"\xff\x7f/ü=1")); got != "/a%20b%0A%22%FF%7F/%C3%BC=1" {
		t.Error(got)
	}
	if got := string(appendSafe(nil, repeat(maxLogValue+1))); got != repeat(maxLogValue)+"..." {
		t.Errorf("%d bytes", len(got))
	}
}

// A long method makes no long line, and what a proxy calls an address adds no values to it.
func TestRequestLogHostile(t *testing.T) {
	log := &appLogRecorder{}
	r := &Router{
		AppLog:         func(string) AppLog { return log },
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	addr := start(t, r)
	r.Set("blog", Route{State: Down})
	sendRaw(t, addr, repeat(maxLogValue+1)+" / HTTP/1.1\r\nHost: blog.localhost\r\n"+
		"X-Forwarded-For: fe80::1%x user=root\r\nConnection: close\r\n\r\n")
	got := log.last(t, 1)
	if !strings.HasPrefix(got, "method="+repeat(maxLogValue)+"... path=/ ") {
		t.Errorf("the method has %d bytes", strings.Index(got, " path="))
	}
	if !strings.Contains(got, " from=fe80::1 host=") {
		t.Error(got[strings.Index(got, " from="):])
	}
}

// A request whose client leaves has a line as well.
func TestRequestLogOfOneWhoLeft(t *testing.T) {
	log := &appLogRecorder{}
	r, addr := startLogged(t, log)
	arrived := make(chan struct{})
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		c.Read(make([]byte, 1000))
		close(arrived)
		io.Copy(io.Discard, c)
	})))
	r.HalfCloseTimeout = 1
	c, _ := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	waitClosed(t, "the request", arrived)
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	if got := log.last(t, 1); !strings.Contains(got, " status=499 ") {
		t.Error(got)
	}
}

// While the disk hangs, requests go on. What does not fit in memory is missing, and that is said.
func TestRequestLogHangs(t *testing.T) {
	log := &appLogRecorder{block: make(chan struct{})}
	l := newRequestLog(log, "")
	x := &exchange{req: &clientRequest{method: "GET", target: "/", authority: "blog.localhost"}}
	x.resp.status = 200
	line := len(x.appendLine(nil, 0)) + len("\n")
	fits := maxLogged/line + 1
	for range 2*fits + logBatch/line + 2 { // one buffer is being written, another one fills
		l.add(x)
	}
	l.mu.Lock()
	waiting, dropped := len(l.lines), l.dropped
	l.mu.Unlock()
	if waiting > maxLogged+line || dropped == 0 {
		t.Errorf("%d bytes wait, %d lines are dropped", waiting, dropped)
	}
	close(log.block)
	waitFor(t, "a note", func() bool { log.mu.Lock(); defer log.mu.Unlock(); return len(log.notes) == 1 })
	l.close()
	l.add(x)
	if l.lines != nil {
		t.Error("a line was added after the end")
	}
}

// A request has a line also where the router answers before it asks the app.
func TestRequestLogOfOwnAnswers(t *testing.T) {
	log := &appLogRecorder{}
	r := &Router{AppLog: func(string) AppLog { return log }}
	addr, https := startHTTPS(t, r, "www.example")
	r.Set("blog", Route{
		Hosts: []string{"www.example", "old.example"}, Redirects: map[string]string{"old.example": "www.example"},
	})
	r.Set("shop", routeTo(startReplying(t, "shop")))
	for n, c := range []struct{ request, want string }{
		{"GET /a HTTP/1.1\r\nHost: old.example", `method=GET path=/a status=308 .* host=old.example id=[0-9a-f]+`},
		{"TRACE / HTTP/1.1\r\nHost: www.example", `method=TRACE path=/ status=405 .*`},
	} {
		sendRaw(t, addr, c.request+"\r\n\r\n")
		if got := log.last(t, n+1); !regexp.MustCompile("^" + c.want + "$").MatchString(got) {
			t.Errorf("%s: %s", c.request, got)
		}
	}
	ask(t, secureClient(t, "shop.localhost"), "https://"+https+"/", "www.example")
	if got := log.last(t, 3); !strings.Contains(got, " status=421 ") {
		t.Error(got)
	}
}

// A router in front of another one logs only what it has answered by itself, and says so.
func TestRequestLogOfFront(t *testing.T) {
	log := &appLogRecorder{}
	r := &Router{AppLog: func(string) AppLog { return log }, LogOwnAs: "front"}
	addr := start(t, r)
	left := make(chan struct{})
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/long" {
			left <- struct{}{}
			<-req.Context().Done()
			left <- struct{}{}
		}
	})))
	get(t, addr, "blog.localhost")
	c, _ := dial(t, addr)
	io.WriteString(c, "GET /long HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	<-left
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	<-left
	r.Set("blog", Route{State: Down})
	get(t, addr, "blog.localhost")
	if got := log.last(t, 1); !regexp.MustCompile("^method=GET path=/ status=503 .* by=front$").MatchString(got) {
		t.Error(got)
	}
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) { io.ReadFull(c, make([]byte, 20)) })))
	get(t, addr, "blog.localhost")
	if got := log.last(t, 2); !strings.Contains(got, " status=502 ") {
		t.Error(got)
	}
}

// Lines of a router in front come beside one's own. Those of an app that is gone are dropped.
func TestLogged(t *testing.T) {
	log := &appLogRecorder{}
	r, _ := startLogged(t, log)
	r.Set("blog", Route{State: Down})
	r.Logged("none", []byte("nothing\n"))
	r.Logged("blog", []byte("one\ntwo\n"))
	if got := log.last(t, 1) + log.last(t, 2); got != "onetwo" {
		t.Error(got)
	}
}

func BenchmarkRequestLog(b *testing.B) {
	l := newRequestLog(&appLogRecorder{}, "")
	x := &exchange{req: &clientRequest{method: "GET", target: "/a/path", authority: "blog.localhost"}}
	x.requestID, x.from, x.began = "5f1c2a3b4c5d6e7f", "192.0.2.1", monotonic()
	for b.Loop() {
		l.add(x)
	}
}
