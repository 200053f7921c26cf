package router

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A request for a starting app waits for it, with its body.
func TestHold(t *testing.T) {
	for _, state := range []State{Starting, Running} {
		r := &Router{}
		addr := start(t, r)
		r.Set("blog", Route{State: state})
		got := make(chan string)
		go func() {
			_, body := do(t, client(t),
				request(t, "POST", addr, "blog.localhost", "/", stringsReader("hello")))
			got <- body
		}()
		waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
		// a change without a backend
		r.Set("blog", Route{State: state, Hosts: []string{"x.example"}})
		r.Set("blog",
			routeTo(startBackend(t,
				func(w http.ResponseWriter, req *http.Request) { io.Copy(w, req.Body) })))
		if b := <-got; b != "hello" {
			t.Errorf("%v: %q", state, b)
		}
		if n := r.waitingAt("blog"); n != 0 {
			t.Errorf("%d still counted as waiting", n)
		}
	}
}

// The wait has a deadline. After it, the response asks the client to retry.
func TestHoldDeadline(t *testing.T) {
	r := &Router{HoldTimeout: 20 * time.Millisecond}
	addr := start(t, r)
	r.Set("blog", Route{})
	resp, _ := do(t, client(t), request(t, "GET", addr, "blog.localhost", "/", nil))
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}

// A request beyond HoldMax is refused at once. When a waiting client leaves, another may wait.
func TestHoldMax(t *testing.T) {
	r := &Router{HoldMax: 2, HoldTimeout: time.Minute, HalfCloseTimeout: time.Millisecond}
	addr := start(t, r)
	r.Set("blog", Route{})
	var conns []net.Conn
	for range 2 {
		c, _ := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
		conns = append(conns, c)
	}
	waitFor(t, "two held", func() bool { return r.waitingAt("blog") == 2 })
	resp, _ := do(t, client(t), request(t, "GET", addr, "blog.localhost", "/", nil))
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("third: %s", resp.Status)
	}
	conns[0].Close()
	waitFor(t, "one held", func() bool { return r.waitingAt("blog") == 1 })
}

// A request for an app that is down is refused at once, and so are those that were waiting.
func TestDown(t *testing.T) {
	r := &Router{HoldTimeout: time.Minute}
	addr := start(t, r)
	r.Set("blog", Route{})
	status := make(chan int)
	go func() { s, _ := get(t, addr, "blog.localhost"); status <- s }()
	waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
	r.Set("blog", Route{State: Down})
	if s := <-status; s != 503 {
		t.Errorf("held: %d", s)
	}
	if s, body := get(t, addr, "blog.localhost"); s != 503 {
		t.Errorf("after: %d %q", s, body)
	}
}

// If nothing listens at the app's address, any request waits for another address, or for a process
// at the same one.
func TestRefusedDialIsHeld(t *testing.T) {
	echo := func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		w.Write(b)
	}
	for name, comeBack := range map[string]func(*Router, string){
		"other address": func(r *Router, _ string) {
			r.Set("blog", routeTo(startBackend(t, echo)))
		},
		"same address": func(_ *Router, addr string) {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: http.HandlerFunc(echo)}
			t.Cleanup(func() { s.Close() })
			go s.Serve(l)
		},
	} {
		for _, size := range []int{5, 3 * bufferSize} {
			r := &Router{}
			addr, dead := start(t, r), freeAddr(t)
			r.Set("blog", routeTo(dead))
			got := make(chan int)
			go func() {
				_, body := do(t, client(t),
					request(t, "POST", addr, "blog.localhost", "/", stringsReader(repeat(size))))
				got <- len(body)
			}()
			waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
			comeBack(r, dead)
			if n := <-got; n != size {
				t.Errorf("%s: %d of %d bytes came back", name, n, size)
			}
		}
	}
}

// If nothing ever listens there, the response is 503 at the hold deadline. A held request does not
// delay a drain.
func TestRefusedDialTimesOut(t *testing.T) {
	r := &Router{HoldTimeout: 100 * time.Millisecond}
	addr := start(t, r)
	r.Set("blog", routeTo(freeAddr(t)))
	if s, _ := get(t, addr, "blog.localhost"); s != 503 {
		t.Errorf("%d", s)
	}
	r2 := &Router{HoldTimeout: time.Minute}
	addr = start(t, r2)
	r2.Set("blog", routeTo(freeAddr(t)))
	status := make(chan int)
	go func() { s, _ := get(t, addr, "blog.localhost"); status <- s }()
	waitFor(t, "held", func() bool { return r2.waitingAt("blog") == 1 })
	waitClosed(t, "drained with a request held", r2.Set("blog", Route{State: Down}))
	if s := <-status; s != 503 {
		t.Errorf("held, then down: %d", s)
	}
}

// A request that waits for an app that is removed goes to the app that has its host then, as after a
// rename.
func TestHoldUntilHostIsOthers(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", Route{State: Starting})
	got := make(chan string)
	go func() {
		_, body := get(t, addr, "blog.localhost")
		got <- body
	}()
	waitFor(t, "held", func() bool { return r.waitingAt("blog") == 1 })
	r.Set("journal", Route{Hosts: []string{"blog.localhost"}, Addrs: []string{startReplying(t, "journal")}})
	r.Remove("blog")
	if b := <-got; b != "journal" {
		t.Errorf("%q", b)
	}
}
