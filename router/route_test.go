package router

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A request in flight finishes on the old process. The next one on the same connection goes to the
// new process.
func TestSwitch(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	arrived, release := make(chan struct{}), make(chan struct{})
	old := startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		io.WriteString(w, "old")
	})
	if !isClosed(r.Set("blog", routeTo(old))) {
		t.Error("the first route is not drained")
	}
	c := client(t)
	var reused atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		reused.Store(i.Reused)
	}}
	next := func() string {
		req := request(t, "GET", addr, "blog.localhost", "/", nil)
		_, body := do(t, c, req.WithContext(httptrace.WithClientTrace(context.Background(), trace)))
		return body
	}
	if got := next(); got != "old" {
		t.Fatal(got)
	}
	slow := make(chan string)
	go func() {
		resp, err := client(t).Do(request(t, "GET", addr, "blog.localhost", "/slow", nil))
		if err != nil {
			slow <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		slow <- string(b)
	}()
	waitClosed(t, "slow request at the old process", arrived)

	if !isClosed(r.Set("blog", Route{Addrs: []string{old}, Hosts: []string{"b.example"}})) {
		t.Error("the same address is not drained immediately")
	}
	drained := r.Set("blog", routeTo(startReplying(t, "new")))
	if got := next(); got != "new" || !reused.Load() {
		t.Errorf("after the switch: %q, connection reused: %v", got, reused.Load())
	}
	if isClosed(drained) {
		t.Error("drained with a request in flight")
	}
	close(release)
	if got := <-slow; got != "old" {
		t.Errorf("in flight: %q", got)
	}
	waitClosed(t, "drained", drained)
}

// Thirty switches under load, with each old process stopped as soon as it is drained: no request
// fails.
func TestSwitchUnderLoad(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	process := func(n int) (string, func()) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			b, _ := io.ReadAll(req.Body)
			if len(b)%2 == 1 {
				time.Sleep(time.Millisecond)
			}
			fmt.Fprintf(w, "%d:%d", n, len(b))
		})}
		go s.Serve(l)
		return l.Addr().String(), func() { s.Close() } // abruptly
	}
	procAddr, kill := process(0)
	r.Set("blog", routeTo(procAddr))

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := client(t)
	var latest atomic.Int64
	var requests atomic.Int64
	var wg sync.WaitGroup
	for g := range 24 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				size := 0
				method := "GET"
				if i%3 == 1 { // a POST cannot be sent twice
					method, size = "POST", 1+(g*977+i*31)%40000
					if i%2 == 0 {
						size += bufferSize
					}
				}
				floor := latest.Load()
				resp, err := c.Do(request(t, method, addr, "blog.localhost", "/",
					strings.NewReader(strings.Repeat("x", size))))
				if err != nil {
					t.Errorf("%s: %v", method, err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				var n, got int64
				if _, serr := fmt.Sscanf(string(b), "%d:%d", &n, &got); err != nil || serr != nil ||
					resp.StatusCode != 200 || got != int64(size) {
					t.Errorf("%s of %d: %s %q %v", method, size, resp.Status, b, err)
					return
				}
				if n < floor {
					t.Errorf("sent after the switch to %d, answered by %d", floor, n)
				}
				requests.Add(1)
			}
		})
	}
	for n := 1; n <= 30; n++ {
		next, killNext := process(n)
		drained := r.Set("blog", routeTo(next))
		latest.Store(int64(n))
		waitClosed(t, "drained", drained)
		kill()
		kill = killNext
		seen := requests.Load()
		waitFor(t, "requests after the switch", func() bool {
			return requests.Load() > seen+10 ||
				t.Failed()
		})
	}
	cancel()
	wg.Wait()
	kill()
}

// A switch can happen between choosing a backend and being counted there.
func TestRetiredBackendRefusesRequests(t *testing.T) {
	r := &Router{}
	r.init()
	a, i := newApp("blog"), newBackend("127.0.0.1:1")
	a.live.Store(&backends{i})
	live := a.live.Load()
	gone := a.setRoute(Route{}, false)
	if !isClosed(r.drain(a, gone)) {
		t.Error("the backend is not drained")
	}
	if live.choose(nil).acquire() {
		t.Error("a drained backend accepted a request")
	}
}

// An extra name belongs to the first app that claimed it. An app's own name cannot be taken.
func TestHostOwnership(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	b, a := startReplying(t, "b"), startReplying(t, "a")
	r.Set("b", Route{Addrs: []string{b}, Hosts: []string{"shop.example", "a.localhost"}})
	if _, got := get(t, addr, "a.localhost"); got != "b" {
		t.Errorf("a free name of the domain: %q", got)
	}
	r.Set("a", Route{Addrs: []string{a}, Hosts: []string{"shop.example"}})
	for host, want := range map[string]string{"shop.example": "b", "a.localhost": "a"} {
		if _, got := get(t, addr, host); got != want {
			t.Errorf("%s is %q's, want %q", host, got, want)
		}
	}
	r.Set("b", routeTo(b))
	r.Set("a", Route{Addrs: []string{a}, Hosts: []string{"shop.example"}})
	if _, got := get(t, addr, "shop.example"); got != "a" {
		t.Errorf("after b gave it up: %q", got)
	}
}

// A removed app is unknown, also to requests that were waiting for it.
func TestRemove(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startReplying(t, "blog")))
	r.Set("blog", Route{State: Starting})
	status := make(chan int)
	go func() { s, _ := get(t, addr, "blog.localhost"); status <- s }()
	waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
	if !isClosed(r.Remove("blog")) {
		t.Error("a removed app is not drained")
	}
	if !isClosed(r.Remove("never")) {
		t.Error("an app that never was is not drained")
	}
	if s := <-status; s != 404 {
		t.Errorf("held: %d", s)
	}
	if s, _ := get(t, addr, "blog.localhost"); s != 404 {
		t.Errorf("after: %d", s)
	}
}
