package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// testTimeout is for events that must happen soon; correct code never waits that long.
const testTimeout = 30 * time.Second

// start runs r on a free loopback port until the test ends.
func start(t testing.TB, r *Router) (addr string) {
	t.Helper()
	r.Addr = "127.0.0.1:0"
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if r.StopTimeout == 0 {
		r.StopTimeout = 100 * time.Millisecond
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(testTimeout):
			t.Error("Run did not end")
		}
	})
	return r.Address().String()
}

// startBackend starts a process of an app.
func startBackend(t testing.TB, h http.HandlerFunc) (addr string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.Listener.Addr().String()
}

// startReplying starts a process that responds to every request with text.
func startReplying(t testing.TB, text string) (addr string) {
	return startBackend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

// routeTo returns a route to the given addresses.
func routeTo(addrs ...string) Route { return Route{Addrs: addrs} }

// startRawBackend starts a process that passes each connection to serve.
func startRawBackend(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().String()
}

// readHead reads up to and including an empty line.
func readHead(br *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

// freeAddr returns an address that nothing listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// client returns a client that reuses connections and times out before the test does.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 2 * testTimeout}
}

func request(t testing.TB, method, addr, host, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+addr+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	return req
}

// do sends req and reads the whole response.
func do(t testing.TB, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func get(t testing.TB, addr, host string) (status int, body string) {
	t.Helper()
	resp, body := do(t, client(t), request(t, "GET", addr, host, "/", nil))
	return resp.StatusCode, body
}

// dial opens a connection with a deadline. It is closed when the test ends.
func dial(t testing.TB, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * testTimeout))
	return c, bufio.NewReader(c)
}

// sendRaw sends text and returns the first response.
func sendRaw(t testing.TB, addr, text string) *http.Response {
	t.Helper()
	c, br := dial(t, addr)
	fmt.Fprint(c, text)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return resp
}

// waitFor waits until cond is true.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// waitClosed waits until c is closed.
func waitClosed(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(testTimeout):
		t.Fatalf("not in time: %s", what)
	}
}

// waitingAt returns the number of requests waiting for the app.
func (r *Router) waitingAt(name string) int {
	r.mu.Lock()
	a := r.apps[name]
	r.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting
}

func repeat(n int) string { return strings.Repeat("x", n) }

func stringsReader(s string) io.Reader { return strings.NewReader(s) }

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// logRecorder records lines of a log.
type logRecorder struct {
	mu  sync.Mutex
	all []string
}

func (l *logRecorder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

// take returns the lines logged since the last call.
func (l *logRecorder) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}
