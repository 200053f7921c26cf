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
// through a ReverseProxy as it comes, and through one with a tuned http.Transport. Client and app
// share the machine's processors with what is measured, so that only the differences mean much.
//
// Measured with wrk, 32 connections, the app in a process of its own, two processors (requests a
// second; processor time a request of the proxy alone):
//
//	direct                                75,600
//	ReverseProxy as it comes               8,300   134 us
//	ReverseProxy, tuned http.Transport    23,600    43 us
//	Router on net/http's server           27,000    37 us
//
// Sessions of our own took the place of net/http's server since: measured side by side on another
// machine, 9 us where that took 20.
//
// What helps is keeping as many idle connections as there are requests at a time (http.Transport's
// default is 2 a host), then doing without its two goroutines a connection: with http.Transport in
// place of upstream, Router took 1.2 to 1.45 times the processor time, and gained nothing over the
// line above it. Of what is left almost half is the system calls a request cannot do without.

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

func BenchmarkDirect(b *testing.B) { benchmark(b, "http://"+says(b, "hello, world\n"), "") }

func benchmarkProxy(b *testing.B, tr http.RoundTripper, pool httputil.BufferPool) {
	u, err := url.Parse("http://" + says(b, "hello, world\n"))
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
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     keepIdle,
		DisableCompression:  true,
	}
	defer tr.CloseIdleConnections()
	benchmarkProxy(b, tr, &buffers{})
}

func BenchmarkRouter(b *testing.B) {
	r := &Router{}
	addr := start(b, r)
	r.Set("hello", at(says(b, "hello, world\n")))
	benchmark(b, "http://"+addr, "hello.localhost")
}

func BenchmarkRouterThreeProcesses(b *testing.B) {
	r := &Router{}
	addr := start(b, r)
	r.Set("hello", at(says(b, "hello, world\n"), says(b, "hello, world\n"), says(b, "hello, world\n")))
	benchmark(b, "http://"+addr, "hello.localhost")
}

// What choosing among three costs a request, beside the 40 us of all the rest.
func BenchmarkChoose(b *testing.B) {
	live, _ := instances{}.at([]string{"a:1", "b:1", "c:1"})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := live.choose(nil)
			i.enter()
			i.leave()
		}
	})
}

// An app that nobody asks for costs no goroutine and less than 4 KiB, also when it was asked for
// once.
func TestIdleAppsAreCheap(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	process := says(t, "hi")
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
		r.Set(fmt.Sprintf("app%d", i), at(process))
	}
	if each := (heap() - before) / apps; each > 4<<10 {
		t.Errorf("%d bytes an app", each)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 5 {
		t.Errorf("%d goroutines for %d apps", n, apps)
	}
	get(t, addr, "app1.localhost")
	r.mu.Lock()
	up := (*r.apps["app1"].live.Load())[0].up
	r.mu.Unlock()
	up.mu.Lock()
	for _, c := range up.idle {
		c.since = time.Now().Add(-keepIdle)
	}
	up.mu.Unlock()
	up.expire()
	if up.idle != nil {
		t.Error("keeps connections")
	}
}
