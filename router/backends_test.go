package router

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestChoose(t *testing.T) {
	now := monotonic()
	long := now - int64(2*avoidFor)
	for name, test := range map[string]struct {
		users   []int64
		refused map[int]int64
		stale   int
		want    []int // any of these, each at least once
	}{
		"none":                  {nil, nil, -1, nil},
		"one":                   {[]int64{7}, map[int]int64{0: now}, 0, []int{0}},
		"least":                 {[]int64{2, 1, 3}, nil, -1, []int{1}},
		"equals":                {[]int64{1, 0, 0, 0}, nil, -1, []int{1, 2, 3}},
		"refused just now":      {[]int64{0, 5, 6}, map[int]int64{0: now}, -1, []int{1}},
		"refused some time ago": {[]int64{0, 5}, map[int]int64{0: long}, -1, []int{0}},
		"all refuse, oldest first": {[]int64{0, 9, 0},
			map[int]int64{0: now, 1: now - 2, 2: now - 1}, -1, []int{1}},
		"stale":                     {[]int64{0, 5, 6}, nil, 0, []int{1}},
		"stale, the others refuse":  {[]int64{3, 0}, map[int]int64{1: now}, 0, []int{0}},
		"stale itself refuses, too": {[]int64{0, 4}, map[int]int64{0: now}, 0, []int{1}},
	} {
		var s backends
		for n, users := range test.users {
			i := newBackend(fmt.Sprint(n))
			i.inFlight.Store(users)
			i.pool.refusedAt.Store(test.refused[n])
			s = append(s, i)
		}
		var stale *backend
		if test.stale >= 0 {
			stale = s[test.stale]
		}
		met := map[int]bool{}
		for range 200 {
			if i := s.choose(stale); i != nil {
				met[slices.Index(s, i)] = true
			}
		}
		ok := len(met) == len(test.want)
		for _, n := range test.want {
			ok = ok && met[n]
		}
		if !ok {
			t.Errorf("%s: chose %v, want %v", name, met, test.want)
		}
	}
}

// Choosing and counting do not allocate, because every request does both.
func TestChooseAllocatesNothing(t *testing.T) {
	live, _ := backends{}.withAddrs([]string{"a:1", "b:1", "c:1"})
	live[0].pool.refusedAt.Store(monotonic())
	if n := testing.AllocsPerRun(100, func() {
		i := live.choose(nil)
		i.acquire()
		i.release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// testApp is a process that responds with its name. It holds requests for /wait until release, and
// sends an event stream or switches protocols if asked.
type testApp struct {
	addr    string
	seen    atomic.Int64
	waiting chan struct{}
	let     chan struct{} // closed by release
	release func()
}

func startTestApp(t testing.TB, name string) *testApp {
	w := &testApp{waiting: make(chan struct{}, 100), let: make(chan struct{})}
	w.release = sync.OnceFunc(func() { close(w.let) })
	w.addr = startBackend(t, func(out http.ResponseWriter, req *http.Request) {
		w.seen.Add(1)
		switch req.URL.Path {
		case "/events":
			out.Header().Set("Content-Type", "text/event-stream")
			out.(http.Flusher).Flush()
			<-req.Context().Done()
		case "/socket":
			c, _, err := out.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
				"Connection: Upgrade\r\n\r\n")
			io.Copy(io.Discard, c)
		case "/wait":
			w.waiting <- struct{}{}
			<-w.let
			io.WriteString(out, name)
		default:
			io.WriteString(out, name)
		}
	})
	t.Cleanup(w.release)
	return w
}

// getInBackground sends a request and returns a channel that receives the body.
func getInBackground(t testing.TB, addr, path string) <-chan string {
	said := make(chan string, 1)
	go func() {
		resp, err := client(t).Do(request(t, "GET", addr, "blog.localhost", path, nil))
		if err != nil {
			said <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		said <- string(body)
	}()
	return said
}

// Of three processes, a slow one gets one request while the fast ones share the others.
func TestBalance(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	slow, one, two := startTestApp(t, "slow"), startTestApp(t, "one"), startTestApp(t, "two")
	r.Set("blog", routeTo(slow.addr))
	waits := getInBackground(t, addr, "/wait")
	waitClosed(t, "request at the slow process", slow.waiting)
	r.Set("blog", routeTo(slow.addr, one.addr, two.addr))
	c := client(t)
	for range 100 {
		do(t, c, request(t, "GET", addr, "blog.localhost", "/", nil))
	}
	if n := slow.seen.Load(); n != 1 {
		t.Errorf("the slow process had %d requests", n)
	}
	if a, b := one.seen.Load(), two.seen.Load(); a < 20 || b < 20 {
		t.Errorf("the fast ones had %d and %d", a, b)
	}
	slow.release()
	if got := <-waits; got != "slow" {
		t.Error(got)
	}
	before := slow.seen.Load()
	waitFor(t, "the slow one has its share again", func() bool {
		do(t, c, request(t, "GET", addr, "blog.localhost", "/", nil))
		return slow.seen.Load() > before
	})
}

// Under load each process has about as many requests in flight as the others, so the fast ones serve
// nearly all requests beside one that is stuck.
func TestBalanceUnderLoad(t *testing.T) {
	const clients, requests = 12, 900
	r := &Router{}
	addr := start(t, r)
	var fast [2]atomic.Int64 // requests served
	var stuck atomic.Int64   // requests in flight
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	serve := func(n int) string {
		return startBackend(t, func(http.ResponseWriter, *http.Request) { fast[n].Add(1) })
	}
	r.Set("blog", routeTo(serve(0), serve(1),
		startBackend(t, func(http.ResponseWriter, *http.Request) {
			stuck.Add(1)
			<-released
		})))
	c := client(t)
	var left atomic.Int64
	left.Store(requests)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				do(t, c, request(t, "GET", addr, "blog.localhost", "/", nil))
			}
		})
	}
	waitFor(t, "all requests are served, or at the stuck process", func() bool {
		return fast[0].Load()+fast[1].Load()+stuck.Load() == requests
	})
	release()
	wg.Wait()
	a, b, n := fast[0].Load(), fast[1].Load(), stuck.Load()
	if n == 0 {
		t.Error("the stuck process got no request")
	}
	if n > 8 { // 4 is an even share of 12
		t.Errorf("the stuck process got %d requests at a time", n)
	}
	if a < requests/3 || b < requests/3 {
		t.Errorf("the fast ones served %d and %d requests", a, b)
	}
}

// Event streams and websockets count as requests in flight.
func TestStreamsCountAsBusy(t *testing.T) {
	for path, header := range map[string]string{"/events": "",
		"/socket": "Upgrade: websocket\r\nConnection: Upgrade\r\n"} {
		r := &Router{}
		addr := start(t, r)
		busy, free := startTestApp(t, "busy"), startTestApp(t, "free")
		r.Set("blog", routeTo(busy.addr))
		c, br := dial(t, addr)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: blog.localhost\r\n%s\r\n", path, header)
		if _, err := readHead(br); err != nil {
			t.Fatal(err)
		}
		r.Set("blog", routeTo(busy.addr, free.addr))
		client := client(t)
		for range 20 {
			if _, got := do(t, client,
				request(t, "GET", addr, "blog.localhost", "/", nil)); got != "free" {
				t.Fatalf("%s: %q", path, got)
			}
		}
		c.Close()
		live := *r.apps["blog"].live.Load()
		waitFor(t, "nobody is busy", func() bool { return live[0].inFlight.Load() == 0 })
	}
}

// A process that stays in the route keeps its count and its connections.
func TestSetKeepsRemainingBackends(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	var conns atomic.Int64
	stays := startRawBackend(t, func(c net.Conn) {
		conns.Add(1)
		for br := bufio.NewReader(c); ; {
			if _, err := readHead(br); err != nil {
				return
			}
			io.WriteString(c, ok2)
		}
	})
	other := startTestApp(t, "other")
	r.Set("blog", routeTo(stays))
	get(t, addr, "blog.localhost")
	kept := (*r.apps["blog"].live.Load())[0]
	for _, test := range []struct {
		addrs []string
		want  int
	}{{[]string{other.addr, stays}, 2}, {[]string{stays, "", other.addr, stays, other.addr}, 2},
		{[]string{stays}, 1}} {
		if !isClosed(r.Set("blog", routeTo(test.addrs...))) {
			t.Errorf("%v: unused, but not drained", test.addrs)
		}
		live := *r.apps["blog"].live.Load()
		if len(live) != test.want || !slices.Contains(live, kept) {
			t.Errorf("%v: %d instances, the same one among them: %v", test.addrs, len(live),
				slices.Contains(live, kept))
		}
	}
	get(t, addr, "blog.localhost")
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// If one of three processes leaves the route, only that one is waited for, also by later calls.
func TestDrainOneOfThree(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	workers := map[string]*testApp{}
	var addrs []string
	answers := map[string]<-chan string{}
	for _, name := range []string{"a", "b", "c"} {
		w := startTestApp(t, name)
		workers[name], addrs = w, append(addrs, w.addr)
		r.Set("blog", routeTo(addrs...))
		// to the new one, the only one without a request
		answers[name] = getInBackground(t, addr, "/wait")
		waitClosed(t, "request at "+name, w.waiting)
	}
	a, b, c := addrs[0], addrs[1], addrs[2]
	drained := r.Set("blog", routeTo(a, c))
	again := r.Set("blog", routeTo(c, a))
	back := r.Set("blog", routeTo(a, b, c))
	if !isClosed(back) {
		t.Error("waits for an address in the route")
	}
	next := r.Set("blog", routeTo(a))
	for range 20 {
		if _, got := get(t, addr, "blog.localhost"); got != "a" {
			t.Errorf("sent to %q", got)
		}
	}
	workers["b"].release()
	if got := <-answers["b"]; got != "b" {
		t.Errorf("in flight: %q", got)
	}
	waitClosed(t, "drained", drained)
	waitClosed(t, "drained, asked again", again)
	if isClosed(next) {
		t.Error("does not wait for c")
	}
	workers["c"].release()
	waitClosed(t, "drained of c", next)
	if got := <-answers["c"]; got != "c" {
		t.Errorf("in flight: %q", got)
	}
	workers["a"].release()
	if got := <-answers["a"]; got != "a" {
		t.Errorf("the one that stayed: %q", got)
	}
	if left := r.apps["blog"].draining; len(left) > 2 {
		t.Errorf("%d old instances kept", len(left))
	}
}

// If two processes leave the route one after the other, the later drain waits for both.
func TestDrainWaitsForEarlierOnes(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	first, second := startTestApp(t, "first"), startTestApp(t, "second")
	r.Set("blog", routeTo(first.addr))
	one := getInBackground(t, addr, "/wait")
	waitClosed(t, "request at first", first.waiting)
	r.Set("blog", routeTo(second.addr))
	two := getInBackground(t, addr, "/wait")
	waitClosed(t, "request at second", second.waiting)
	last := (*r.apps["blog"].live.Load())[0]
	drained := r.Set("blog", Route{State: Down})
	second.release()
	<-two
	waitClosed(t, "drained of second", last.drained)
	if isClosed(drained) {
		t.Error("drained with a request at first")
	}
	first.release()
	<-one
	waitClosed(t, "drained", drained)
}

// One of three processes is dead. No request fails or is held, whatever the method, before and
// after the route changes.
func TestDeadBackendUnderLoad(t *testing.T) {
	r := &Router{HoldTimeout: time.Nanosecond} // a held request fails at once
	addr := start(t, r)
	const clients = 12
	dies := startDyingApp(t, clients)
	one, two := startTestApp(t, "one"), startTestApp(t, "two")
	r.Set("blog", routeTo(dies.addr))
	ctx, stop := context.WithCancel(t.Context())
	c := client(t)
	var done atomic.Int64
	var wg sync.WaitGroup
	for g := range clients {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				method, body := "GET", ""
				// no connection is left that could break during a POST
				if dies.dead.Load() && (g+n)%3 == 0 {
					method, body = "POST", repeat(1+n%100)
				}
				resp, err := c.Do(request(t, method, addr, "blog.localhost", "/",
					strings.NewReader(body)))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("%s: %s", method, resp.Status)
				}
				done.Add(1)
			}
		})
	}
	more := func(what string) {
		t.Helper()
		seen := done.Load()
		waitFor(t, "requests "+what, func() bool { return done.Load() > seen+200 || t.Failed() })
	}
	more("at the one that will die") // from here on its connections are reused
	r.Set("blog", routeTo(one.addr, dies.addr, two.addr))
	more("at all three")
	dies.kill()
	more("while it is dead")
	waitClosed(t, "drained", r.Set("blog", routeTo(one.addr, two.addr)))
	more("after it was removed")
	stop()
	wg.Wait()
}

// dyingApp is a process that, once killed, closes the connections that it has used and accepts no
// more. It responds to nobody until it has as many connections as there are clients. The router
// then opens no more connections: it could not tell whether one broke before or after the request
// was read.
type dyingApp struct {
	addr  string
	l     net.Listener
	want  atomic.Int64
	full  chan struct{}
	fill  func() // closes full
	dying atomic.Bool
	dead  atomic.Bool
	conns sync.WaitGroup
	mu    sync.Mutex
	open  map[net.Conn]bool // value: whether it is idle
}

func startDyingApp(t *testing.T, clients int64) *dyingApp {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &dyingApp{addr: l.Addr().String(), l: l, full: make(chan struct{}),
		open: map[net.Conn]bool{}}
	m.want.Store(clients)
	m.fill = sync.OnceFunc(func() { close(m.full) })
	t.Cleanup(m.kill)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.conns.Go(func() { m.serve(c) })
		}
	}()
	return m
}

func (m *dyingApp) serve(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	for first := true; ; first = false {
		if _, err := readHead(br); err != nil {
			return
		}
		if first {
			if m.want.Add(-1) == 0 {
				m.fill()
			}
			<-m.full
		}
		if m.dying.Load() {
			return // without a response
		}
		m.idle(c, false)
		io.WriteString(c, ok2)
		m.idle(c, true)
		if m.dying.Load() {
			return
		}
	}
}

func (m *dyingApp) idle(c net.Conn, idle bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[c] = idle
}

func (m *dyingApp) kill() {
	m.dying.Store(true)
	m.fill()
	m.l.Close()
	m.mu.Lock()
	for c, idle := range m.open {
		if idle {
			c.Close()
		}
	}
	m.mu.Unlock()
	m.conns.Wait()
	m.dead.Store(true)
}

// If an idle connection breaks, the request goes to another process, even a busier one.
func TestClosedIdleConnectionTriesAnotherBackend(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	busy := startTestApp(t, "busy")
	r.Set("blog", routeTo(busy.addr))
	waits := getInBackground(t, addr, "/wait")
	waitClosed(t, "request at the busy process", busy.waiting)
	var seen atomic.Int64
	r.Set("blog", routeTo(busy.addr, dropper(t, &seen)))
	if _, got := get(t, addr, "blog.localhost"); got != "hi" { // leaves an idle connection
		t.Fatal(got)
	}
	if s, got := get(t, addr, "blog.localhost"); s != 200 || got != "busy" || seen.Load() != 2 {
		t.Errorf("%d %q after %d requests at the other", s, got, seen.Load())
	}
	busy.release()
	<-waits
}

// A process that closes its idle connections may be exiting although it still accepts new ones. A
// request of any method goes to another process.
func TestExitingProcessIsAvoided(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		r := &Router{}
		addr := start(t, r)
		busy := startTestApp(t, "busy")
		r.Set("blog", routeTo(busy.addr))
		waits := getInBackground(t, addr, "/wait")
		waitClosed(t, "request at the busy process", busy.waiting)
		end, ended := make(chan struct{}), make(chan struct{}, 10)
		r.Set("blog", routeTo(busy.addr, startRawBackend(t, func(c net.Conn) {
			br := bufio.NewReader(c)
			readHead(br)
			if !isClosed(end) {
				io.WriteString(c, ok2)
				<-end
			}
			c.Close()
			ended <- struct{}{}
		})))
		if _, got := get(t, addr, "blog.localhost"); got != "hi" { // leaves an idle connection
			t.Fatal(got)
		}
		close(end)
		<-ended
		if resp, got := do(t, client(t),
			request(t, method, addr, "blog.localhost", "/",
				strings.NewReader(""))); resp.StatusCode != 200 || got != "busy" {
			t.Errorf("%s: %s %q", method, resp.Status, got)
		}
		busy.release()
		<-waits
	}
}

// If something other than the app listens at its address, it is sent nothing, and the request waits
// for another process.
func TestDialRefusesStranger(t *testing.T) {
	stranger, own := startTestApp(t, "stranger"), startTestApp(t, "own")
	r := &Router{Dial: func(ctx context.Context, app, addr string) (net.Conn, error) {
		if app != "blog" || addr == stranger.addr {
			return nil, errors.New("another program listens there")
		}
		return net.Dial("tcp", addr)
	}}
	addr := start(t, r)
	r.Set("blog", routeTo(stranger.addr))
	said := getInBackground(t, addr, "/")
	waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
	r.Set("blog", routeTo(own.addr))
	if got := <-said; got != "own" {
		t.Error(got)
	}
}

// If all processes refuse connections, a request waits and goes to the first that accepts one.
func TestAllBackendsRefuse(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	dead := freeAddr(t)
	r.Set("blog", routeTo(dead, freeAddr(t), freeAddr(t)))
	said := getInBackground(t, addr, "/")
	waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
	l, err := net.Listen("tcp", dead)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "back")
	})}
	t.Cleanup(func() { s.Close() })
	go s.Serve(l)
	if got := <-said; got != "back" {
		t.Error(got)
	}
	if i := (*r.apps["blog"].live.Load())[0]; i.pool.refusedSince() != 0 {
		t.Error("still marked as refusing")
	}
}

// If a client leaves during the dial, the process does not count as refusing.
func TestCancelledDialIsNoRefusal(t *testing.T) {
	u := &connPool{addr: "127.0.0.1:1"}
	x := &exchange{router: &Router{ConnectTimeout: time.Second}, app: newApp("blog")}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := u.get(ctx, x); !errors.Is(err, context.Canceled) || u.refusedSince() != 0 {
		t.Error(err, u.refusedSince())
	}
	if _, err := u.get(context.Background(), x); err == nil || u.refusedSince() == 0 {
		t.Error(err, "port 1 answers, or a refusal is not noted")
	}
}
