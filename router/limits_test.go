package router

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A header that arrives too slowly is cut off and delays no other client.
func TestSlowHeader(t *testing.T) {
	r := &Router{ReadHeaderTimeout: 50 * time.Millisecond}
	addr := start(t, r)
	r.Set("blog", routeTo(startReplying(t, "hi")))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.loc")
	if s, _ := get(t, addr, "blog.localhost"); s != 200 {
		t.Error(s)
	}
	if _, err := io.ReadAll(br); err != nil {
		t.Errorf("not closed: %v", err)
	}
}

// So is one that follows a response or empty lines.
func TestSlowHeaderBehind(t *testing.T) {
	r := &Router{ReadHeaderTimeout: time.Second}
	addr := start(t, r)
	r.Set("blog",
		routeTo(startBackend(t,
			func(http.ResponseWriter, *http.Request) { time.Sleep(2 * hangupWatchDelay) })))
	for _, before := range []string{"GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n", ""} {
		c, br := dial(t, addr)
		io.WriteString(c, before+"\r\n\r\nGET / HTTP/1.1\r\nHost: blog.loc")
		if before != "" {
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
		}
		if _, err := io.ReadAll(br); err != nil {
			t.Errorf("%q: not closed: %v", before, err)
		}
	}
}

func TestHeaderTooLarge(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startReplying(t, "hi")))
	for size, want := range map[int]int{maxHeaderBytes / 2: 200, maxHeaderBytes + 8<<10: 431} {
		if resp := sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nX: "+repeat(size)+
			"\r\n\r\n"); resp.StatusCode != want {
			t.Errorf("%d bytes: %s, want %d", size, resp.Status, want)
		}
	}
}

// Neither many fields nor many names in one field take long: the cost of a request is proportional
// to its size.
func TestHeaderOfManyFields(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startReplying(t, "hi")))
	for head, want := range map[string]int{
		strings.Repeat("X: y\r\n", maxFields-10):                                              200,
		strings.Repeat("X: y\r\n", maxFields):                                                 431,
		strings.Repeat("TE: y\r\n", 8000):                                                     431,
		"Connection: " + strings.Repeat("a,", maxHops) + "close\r\n":                          200,
		"Connection: " + strings.Repeat("a,", maxHops+1) + "close\r\n":                        431,
		strings.Repeat("Connection: "+strings.Repeat("a,", 10)+"\r\n", 1+maxHops/10) + "\r\n": 431,
	} {
		if resp := sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n"+head+
			"\r\n"); resp.StatusCode != want {
			t.Errorf("%.30q and so on, %d bytes: %s, want %d", head, len(head), resp.Status, want)
		}
	}
	for answer, want := range map[string]int{
		strings.Repeat("X: y\r\n", maxFields):                          502,
		"Connection: " + strings.Repeat("a,", maxHops+1) + "close\r\n": 502,
		"X: y\r\n" + strings.Repeat(" z\n", maxFolds):                  200,
		"X: y\r\n" + strings.Repeat(" z\n", maxFolds+1):                502,
	} {
		app, _ := script(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+answer+"\r\n")
		r.Set("blog", routeTo(app))
		if resp := sendRaw(t, addr,
			"GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n"); resp.StatusCode != want {
			t.Errorf("answer of %d bytes: %s, want %d", len(answer), resp.Status, want)
		}
	}
}

func TestIdleClient(t *testing.T) {
	r := &Router{IdleTimeout: 30 * time.Millisecond}
	addr := start(t, r)
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(resp.Body)
	if _, err := br.ReadByte(); err != io.EOF {
		t.Error(err)
	}
}

// A client that does not read its response is cut off; a slow one is not.
func TestSlowReader(t *testing.T) {
	r := &Router{StallTimeout: 300 * time.Millisecond}
	addr := start(t, r)
	cut := make(chan struct{}, 2)
	const size = 64 << 20
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		buf := make([]byte, 1<<20)
		for range size / len(buf) {
			if _, err := w.Write(buf); err != nil {
				cut <- struct{}{}
				return
			}
		}
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	select {
	case <-cut:
	case <-time.After(testTimeout):
		t.Error("not disconnected")
	}
	if n, _ := io.Copy(io.Discard, br); n >= size {
		t.Error("the client got the whole response")
	}
	// Each response has its own deadline.
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/later" {
			time.Sleep(2 * r.StallTimeout)
		}
		w.Write(make([]byte, 1<<20))
	})))
	cl := client(t)
	for _, path := range []string{"/", "/later"} {
		if _, body := do(t, cl,
			request(t, "GET", addr, "blog.localhost", path, nil)); len(body) != 1<<20 {
			t.Errorf("%s: %d bytes", path, len(body))
		}
	}
}

// At most MaxConns connections are served at a time, websockets included. The next is served when
// one closes.
func TestMaxConns(t *testing.T) {
	r := &Router{MaxConns: 2}
	addr := start(t, r)
	r.Set("blog", routeTo(websocketApp(t, "")))
	one, _ := websocket(t, addr)
	two, _ := dial(t, addr)
	waitFor(t, "both counted", func() bool { return len(r.slots) == 2 })
	three, br := dial(t, addr)
	io.WriteString(three, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	three.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := br.Peek(1); err == nil {
		t.Error("served a third connection")
	}
	three.SetReadDeadline(time.Now().Add(testTimeout))
	one.Close()
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		t.Error(resp, err)
	}
	two.Close()
	three.Close()
	waitFor(t, "all slots but the waiting Accept's free",
		func() bool { return len(r.slots) <= 1 })
}

// One app cannot take all connections: others are still served, and so is the app once it has
// finished some of its requests.
func TestAppsShareConnections(t *testing.T) {
	r := &Router{MaxConns: 16}
	addr := start(t, r)
	r.Set("blog", routeTo(websocketApp(t, "")))
	r.Set("other", routeTo(startReplying(t, "other")))
	var open []net.Conn
	for {
		c, br := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: websocket\r\n"+
			"Connection: Upgrade\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("after %d: %v", len(open), err)
		}
		if resp.StatusCode == 503 {
			if resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			c.Close()
			break
		}
		open = append(open, c)
	}
	if len(open) != 12 {
		t.Errorf("%d of 16 for one app", len(open))
	}
	if _, body := get(t, addr, "other.localhost"); body != "other" {
		t.Errorf("another app: %q", body)
	}
	open[0].Close()
	waitFor(t, "one left", func() bool { return r.share.inProgress.Load() == 11 })
	websocket(t, addr)
}

// Idle connections are closed to make room for new ones.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	r := &Router{MaxConns: 3}
	addr := start(t, r)
	for range 3 {
		dial(t, addr)
	}
	waitFor(t, "all taken", func() bool { return len(r.slots) == 3 })
	r.clients.mu.Lock()
	for s := range r.clients.all {
		s.idleMu.Lock()
		s.idleSince = 1 // as if idle since the process started
		s.idleMu.Unlock()
	}
	r.clients.mu.Unlock()
	if status, _ := get(t, addr, "localhost"); status != 200 {
		t.Error(status)
	}
}

// Connections whose clients never end a header are closed to make room, too.
func TestPartialHeadersMakeRoom(t *testing.T) {
	r := &Router{MaxConns: 3, ReadHeaderTimeout: time.Hour}
	addr := start(t, r)
	for range 3 {
		c, _ := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost:")
	}
	waitFor(t, "all are in the middle of a header", func() bool {
		r.clients.mu.Lock()
		defer r.clients.mu.Unlock()
		partial := 0
		for c := range r.clients.all {
			c.idleMu.Lock()
			if c.headerSince > 0 {
				partial++
				c.headerSince = 1 // since the process started
			}
			c.idleMu.Unlock()
		}
		return partial == 3
	})
	if status, _ := get(t, addr, "localhost"); status != 200 {
		t.Error(status)
	}
}

// Where many clients fill the router, room is made for many at once, but not at the cost of all others.
// One that the router serves keeps its connection, and so does a front that follows.
func TestMakeRoom(t *testing.T) {
	greeted, leave := make(chan struct{}), make(chan struct{})
	r := &Router{Greet: func(context.Context, net.Conn) bool {
		close(greeted)
		<-leave
		return false
	}}
	addr := start(t, r)
	defer close(leave)
	front, _ := dial(t, addr)
	front.Write([]byte{0})
	waitClosed(t, "the greeting", greeted)
	for range 40 {
		dial(t, addr)
	}
	count := func(closing bool) (n int) {
		r.clients.mu.Lock()
		defer r.clients.mu.Unlock()
		for c := range r.clients.all {
			c.idleMu.Lock()
			if c.idleSince > 0 {
				c.idleSince = 1
			}
			if c.closing || !closing {
				n++
			}
			c.idleMu.Unlock()
		}
		return n
	}
	waitFor(t, "all are there", func() bool { return count(false) == 41 })
	r.clients.makeRoom()
	if n := count(true); n != 5 {
		t.Errorf("%d of 40 are closed", n)
	}
	r.clients.mu.Lock()
	defer r.clients.mu.Unlock()
	for c := range r.clients.all {
		if c.waitingSince() == 0 && c.silentSince() > 0 {
			t.Error("a front that follows is taken for one who is silent")
		}
	}
}

// However many warnings a client causes, the log stays short and says how many were suppressed.
func TestWarningsAreThrottled(t *testing.T) {
	var out bytes.Buffer
	q := &throttledLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	for i := range 1000 {
		q.warn("no", "i", i)
	}
	if n := strings.Count(out.String(), "\n"); n != maxWarnings {
		t.Errorf("%d lines", n)
	}
	q.since = q.since.Add(-2 * warnInterval)
	q.warn("more")
	if !strings.Contains(out.String(), fmt.Sprintf("msg=more suppressed=%d", 1000-maxWarnings)) {
		t.Error(out.String()[out.Len()-100:])
	}
}

// Listening on an address that is in use is an error that says so.
func TestListenError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := &Router{Addr: l.Addr().String()}
	if r.Address() != nil {
		t.Error("there is an address before Listen")
	}
	if err := r.Run(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
}

// A client's time to read a response starts with the response, also if the header or trailer is too
// large to be buffered.
func TestLargeHeaderAfterPause(t *testing.T) {
	r := &Router{StallTimeout: 50 * time.Millisecond}
	addr := start(t, r)
	large := "X: " + repeat(20_000) + "\r\n"
	next := make(chan bool)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, err := readHead(br); err != nil {
				return
			}
			if n == 1 {
				io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n"+large+"\r\n")
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+large+
				"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
			<-next
			io.WriteString(c, "0\r\n"+large+"\r\n")
		}
	})))
	c, br := dial(t, addr)
	for n := range 3 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
		statuses := []string{"200"}
		if n == 1 {
			statuses = []string{"103", "200"}
		}
		for _, status := range statuses {
			if head, err := readHead(br); err != nil ||
				!strings.HasPrefix(head, "HTTP/1.1 "+status) || !strings.Contains(head, large) {
				t.Fatalf("%.20q %v, want %s", head, err, status)
			}
		}
		expect(t, br, "2\r\nhi\r\n")
		time.Sleep(3 * r.StallTimeout)
		next <- true
		expect(t, br, "0\r\n"+large+"\r\n")
		time.Sleep(3 * r.StallTimeout)
	}
}

// An app that does not read delays a small request no longer than a large one.
func TestAppThatNeverReads(t *testing.T) {
	r := &Router{ResponseTimeout: 50 * time.Millisecond}
	r.Dial = func(context.Context, string, string) (net.Conn, error) {
		near, _ := net.Pipe() // has no buffer, like a socket whose buffer is full
		return near, nil
	}
	addr := start(t, r)
	r.Set("blog", routeTo("127.0.0.1:1"))
	for _, body := range []string{"", "Content-Length: 20000\r\n\r\n" + repeat(20_000)} {
		if resp := sendRaw(t, addr, "POST / HTTP/1.1\r\nHost: blog.localhost\r\n"+body+
			"\r\n"); resp.StatusCode != 504 {
			t.Error(resp.Status)
		}
	}
}
