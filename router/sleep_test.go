package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// putToSleep puts the app to sleep.
func putToSleep(t *testing.T, r *Router) {
	t.Helper()
	if asleep, in := r.Sleep("blog", 0); !asleep || in != 0 {
		t.Fatalf("awake, ask again in %v", in)
	}
}

// echoBody responds with the body once it is complete.
func echoBody(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	w.Write(body)
}

// A hundred requests for a sleeping app wake it once, wait, and are each sent once.
func TestWake(t *testing.T) {
	const requests = 100
	var woken, served atomic.Int64
	r := &Router{Wake: func(app string) {
		if app == "blog" {
			woken.Add(1)
		}
	}}
	addr := start(t, r)
	echo := startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		served.Add(1)
		echoBody(w, req)
	})
	r.Set("blog", routeTo(echo))
	putToSleep(t, r)
	putToSleep(t, r) // already asleep
	c := client(t)
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			method, want := "GET", ""
			if i%2 == 0 { // a small body is prefetched, a large one is not
				method, want = "POST", repeat(1+i*bufferSize/10)
			}
			resp, body := do(t, c,
				request(t, method, addr, "blog.localhost", "/", stringsReader(want)))
			if resp.StatusCode != 200 || body != want {
				t.Errorf("%s of %d: %s, %d bytes", method, len(want), resp.Status, len(body))
			}
		})
	}
	waitFor(t, "all are held", func() bool { return r.waitingAt("blog") == requests })
	r.Set("blog", Route{State: Starting}) // it boots
	if served.Load() > 0 || woken.Load() != 1 {
		t.Errorf("%d were served by an app asleep, which was woken %d times", served.Load(),
			woken.Load())
	}
	r.Set("blog", routeTo(echo))
	wg.Wait()
	if served.Load() != requests || woken.Load() != 1 {
		t.Errorf("%d were served, and it was woken %d times", served.Load(), woken.Load())
	}
	putToSleep(t, r)
	go get(t, addr, "blog.localhost")
	waitFor(t, "it is woken again", func() bool { return woken.Load() == 2 })
	r.Set("blog", routeTo(echo))
}

// An app is not put to sleep while it has requests in flight, streams or held requests, or while
// its earlier processes have any, or shortly after its last request.
func TestAwakeWhileInUse(t *testing.T) {
	r := &Router{Wake: func(string) { t.Error("woken") }}
	addr := start(t, r)
	awake := func(idle, least, most time.Duration) {
		t.Helper()
		if asleep, in := r.Sleep("blog", idle); asleep || in <= least || in > most {
			t.Errorf("asleep: %v; ask again in %v, not between %v and %v", asleep, in, least, most)
		}
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := startBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
	})
	r.Set("blog", routeTo(slow))
	answered := make(chan int)
	go func() { s, _ := get(t, addr, "blog.localhost"); answered <- s }()
	waitClosed(t, "a request in flight", arrived)
	awake(time.Minute, time.Minute-1, time.Minute)
	r.Set("blog", routeTo(websocketApp(t, "hello")))
	awake(time.Minute, time.Minute-1, time.Minute) // the old process still answers
	close(release)
	if s := <-answered; s != 200 {
		t.Error(s)
	}
	waitFor(t, "the old process is drained",
		func() bool { _, in := r.Sleep("blog", time.Hour); return in < time.Hour })

	c, br := websocket(t, addr)
	expect(t, br, "hello")
	awake(0, -1, 0)
	c.Close()
	waitFor(t, "the websocket has ended",
		func() bool { _, in := r.Sleep("blog", time.Hour); return in < time.Hour })
	awake(time.Hour, time.Hour-testTimeout, time.Hour)

	r.Set("blog", routeTo(freeAddr(t)))
	go func() { s, _ := get(t, addr, "blog.localhost"); answered <- s }()
	waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
	awake(0, -1, 0)
	r.Set("blog", routeTo(startReplying(t, "hi")))
	<-answered
	waitFor(t, "it sleeps",
		func() bool { asleep, _ := r.Sleep("blog", time.Millisecond); return asleep })
	if asleep, _ := r.Sleep("shop", 0); asleep {
		t.Error("put an unknown app to sleep")
	}
}

// Apps are put to sleep and woken under load, and their processes are killed as soon as they sleep:
// no request fails.
func TestSleepUnderLoad(t *testing.T) {
	var mu sync.Mutex
	var kill func()
	r := &Router{}
	boot := func(string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Error(err)
			return
		}
		s := &http.Server{Handler: http.HandlerFunc(echoBody)}
		go s.Serve(l)
		mu.Lock()
		defer mu.Unlock()
		kill = func() { s.Close() }
		r.Set("blog", routeTo(l.Addr().String()))
	}
	r.Wake = func(app string) { go boot(app) }
	addr := start(t, r)
	r.Set("blog", Route{State: Asleep})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	c := client(t)
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				want := repeat(1 + i%2*2*bufferSize)
				resp, err := c.Do(request(t, "POST", addr, "blog.localhost", "/",
					stringsReader(want)))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || string(body) != want {
					t.Errorf("%s, %d of %d bytes, %v", resp.Status, len(body), len(want), err)
					return
				}
				time.Sleep(time.Duration(g) * time.Millisecond) // else the app is always in use
			}
		})
	}
	for slept := 0; slept < 100 && !t.Failed(); {
		mu.Lock()
		if kill != nil {
			if asleep, _ := r.Sleep("blog", 0); asleep {
				kill()
				kill = nil
				slept++
			}
		}
		mu.Unlock()
		time.Sleep(100 * time.Microsecond)
	}
	cancel()
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if kill != nil {
		kill()
	}
}

// A request that wakes an app may wait longer than others, because booting takes time. So may
// requests that arrive meanwhile.
func TestWakeTimeout(t *testing.T) {
	woken := make(chan struct{})
	r := &Router{HoldTimeout: 20 * time.Millisecond, WakeTimeout: time.Minute,
		Wake: func(string) { close(woken) }}
	addr := start(t, r)
	r.Set("blog", Route{State: Asleep})
	status := make(chan int, 2)
	ask := func() { s, _ := get(t, addr, "blog.localhost"); status <- s }
	go ask()
	waitClosed(t, "woken", woken)
	r.Set("blog", Route{State: Starting})
	go ask()
	waitFor(t, "both are held", func() bool { return r.waitingAt("blog") == 2 })
	select {
	case s := <-status:
		t.Fatalf("refused with %d while it boots", s)
	case <-time.After(3 * r.HoldTimeout): // a timeout is the only way to see that nothing happens
	}
	r.Set("blog", routeTo(startReplying(t, "hi")))
	for range 2 {
		if s := <-status; s != 200 {
			t.Error(s)
		}
	}
	r.Set("blog", Route{State: Starting}) // like any other app from now on
	if s, _ := get(t, addr, "blog.localhost"); s != 503 {
		t.Errorf("after it was up: %d", s)
	}
}

// A websocket wakes an app, and so does a request whose client has left. An app that fails to boot
// is down, and one that is removed is unknown.
func TestWakeOutcomes(t *testing.T) {
	woken := make(chan string, 1)
	r := &Router{Wake: func(app string) { woken <- app }, WakeTimeout: time.Minute,
		HalfCloseTimeout: time.Millisecond}
	addr := start(t, r)
	r.Set("blog", Route{State: Asleep})
	upgraded := make(chan string)
	go func() {
		c, br := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: websocket\r\n"+
			"Connection: Upgrade\r\n\r\n")
		head, _ := readHead(br)
		first := make([]byte, 5)
		io.ReadFull(br, first)
		upgraded <- fmt.Sprintf("%.12s %s", head, first)
	}()
	if app := <-woken; app != "blog" {
		t.Error(app)
	}
	r.Set("blog", routeTo(websocketApp(t, "hello")))
	if got := <-upgraded; got != "HTTP/1.1 101 hello" {
		t.Errorf("%q", got)
	}

	for status, end := range map[int]func(){
		503: func() { r.Set("blog", Route{State: Down}) },
		404: func() { r.Remove("blog") },
	} {
		r.Set("blog", Route{State: Asleep})
		c, _ := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
		<-woken
		c.Close()
		waitFor(t, "the visitor has left", func() bool { return r.waitingAt("blog") == 0 })
		c, _ = dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
		waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
		end()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != status {
			t.Errorf("%v, %v; want %d", resp, err, status)
		}
	}
}

// An app can be put to sleep between choosing a backend and being counted there.
func TestSleepingBackendRefusesRequests(t *testing.T) {
	r := &Router{}
	drained := r.Set("blog", routeTo("127.0.0.1:1"))
	live := r.apps["blog"].live.Load()
	putToSleep(t, r)
	if live.choose(nil).acquire() {
		t.Error("a sleeping app accepted a request")
	}
	if !isClosed(drained) {
		t.Error("Sleep did not drain")
	}
	if !isClosed(live.choose(nil).drained) {
		t.Error("the backend is not drained")
	}
}
