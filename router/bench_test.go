package router

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"testing"
	"time"
)

// The benchmarks send small requests from 32 clients to one process: directly, through the router,
// through a default ReverseProxy, and through one with a tuned http.Transport. Client, proxy and
// app share the machine's processors, so only the differences are meaningful.
//
// Measured with wrk, 32 connections, the app in its own process, two processors (requests per
// second; processor time per request of the proxy alone):
//
//	direct                                75,600
//	ReverseProxy, default                  8,300   134 us
//	ReverseProxy, tuned http.Transport    23,600    43 us
//	Router on net/http's server           27,000    37 us
//
// Replacing net/http's server with clientConn then took the router from 20 us to 9 us on another
// machine.
//
// What helps most is to keep as many idle connections as there are concurrent requests
// (http.Transport's default is 2 per host), and then to avoid its two goroutines per connection:
// with http.Transport instead of connPool, Router took 1.2 to 1.45 times the processor time. Almost
// half of what remains is system calls that a request cannot do without.

func benchmark(b *testing.B, url, host string) {
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	b.ReportAllocs()
	b.SetParallelism(max(1, 32/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequest("GET", url, nil)
			req.Host = host
			resp, err := c.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}

func BenchmarkDirect(b *testing.B) {
	benchmark(b, "http://"+startReplying(b, "hello, world\n"),
		"")
}

func benchmarkProxy(b *testing.B, tr http.RoundTripper, pool httputil.BufferPool) {
	u, err := url.Parse("http://" + startReplying(b, "hello, world\n"))
	if err != nil {
		b.Fatal(err)
	}
	p := httputil.NewSingleHostReverseProxy(u)
	p.Transport, p.BufferPool = tr, pool
	s := httptest.NewServer(p)
	defer s.Close()
	benchmark(b, s.URL, "")
}

func BenchmarkUntuned(b *testing.B) { benchmarkProxy(b, nil, nil) }

func BenchmarkTuned(b *testing.B) {
	tr := &http.Transport{
		DialContext:         (&net.Dialer{KeepAlive: -1}).DialContext,
		MaxIdleConnsPerHost: maxIdleConns,
		IdleConnTimeout:     maxIdleTime,
		DisableCompression:  true,
	}
	defer tr.CloseIdleConnections()
	benchmarkProxy(b, tr, &buffers{})
}

func BenchmarkRouter(b *testing.B) {
	r := &Router{}
	addr := start(b, r)
	r.Set("hello", routeTo(startReplying(b, "hello, world\n")))
	benchmark(b, "http://"+addr, "hello.localhost")
}

func BenchmarkRouterThreeProcesses(b *testing.B) {
	r := &Router{}
	addr := start(b, r)
	r.Set("hello", routeTo(startReplying(b, "hello, world\n"), startReplying(b, "hello, world\n"),
		startReplying(b, "hello, world\n")))
	benchmark(b, "http://"+addr, "hello.localhost")
}

// Choosing among three backends is cheap compared with the 40 us of a whole request.
func BenchmarkChoose(b *testing.B) {
	live, _ := backends{}.withAddrs([]string{"a:1", "b:1", "c:1"})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := live.choose(nil)
			i.acquire()
			i.release()
		}
	})
}

// An idle app costs no goroutine and less than 4 KiB, even after it has served a request.
func TestIdleAppsAreCheap(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	process := startReplying(t, "hi")
	const apps = 500
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	for i := range apps {
		r.Set(fmt.Sprintf("app%d", i), routeTo(process))
	}
	if each := (heap() - before) / apps; each > 4<<10 {
		t.Errorf("%d bytes an app", each)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 5 {
		t.Errorf("%d goroutines for %d apps", n, apps)
	}
	get(t, addr, "app1.localhost")
	r.mu.Lock()
	up := (*r.apps["app1"].live.Load())[0].pool
	r.mu.Unlock()
	idle := func() []*appConn {
		up.mu.Lock()
		defer up.mu.Unlock()
		return up.idle
	}
	waitFor(t, "the connection is idle", func() bool { return len(idle()) == 1 })
	up.mu.Lock()
	up.idle[0].idleSince = time.Now().Add(-maxIdleTime)
	up.mu.Unlock()
	up.expire()
	if idle() != nil {
		t.Error("keeps idle connections")
	}
}
