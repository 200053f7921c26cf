package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A client that has said all it wanted to say, and closes its side, gets its answer: from an app,
// from static files, from one that is only waking up, after an upload, and in chunks.
func TestHalfClosedClient(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "big.txt"), []byte(repeat(3<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(folder))
	woken := make(chan string, 1)
	r := &Router{Wake: func(app string) { woken <- app }}
	addr := start(t, r)
	app := backend(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		time.Sleep(3 * watchAfter) // long enough for the front door to notice
		fmt.Fprintf(w, "slow %d", len(body))
		w.(http.Flusher).Flush()
		time.Sleep(3 * watchAfter)
		io.WriteString(w, " end")
	})
	r.Set("app", at(app))
	r.Set("files", at(backend(t, files.ServeHTTP)))
	r.Set("asleep", Route{State: Asleep})
	go func() {
		<-woken
		time.Sleep(3 * watchAfter)
		r.Set("asleep", at(app))
	}()
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n":                                                                   "slow 0 end",
		"GET / HTTP/1.0\r\nHost: app.localhost\r\n\r\n":                                                                   "slow 0 end",
		"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 2\r\n\r\nhi":                                           "slow 2 end",
		"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 100000\r\n\r\n" + repeat(100_000):                      "slow 100000 end",
		"POST / HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n":                "slow 2 end",
		"GET /big.txt HTTP/1.1\r\nHost: files.localhost\r\n\r\n":                                                          repeat(3 << 20),
		"GET / HTTP/1.1\r\nHost: asleep.localhost\r\n\r\n":                                                                "slow 0 end",
		"GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n":                                                                "There is no app",
		"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\nGET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n": "slow 0 end",
	} {
		t.Run(fmt.Sprintf("%.30q", text), func(t *testing.T) {
			c, br := dial(t, addr)
			io.WriteString(c, text)
			c.(*net.TCPConn).CloseWrite()
			for range strings.Count(text, "HTTP/1.") {
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), want) {
					t.Errorf("%.40q %v", body, err)
				}
			}
			if rest, err := br.ReadByte(); err != io.EOF {
				t.Errorf("after it: %q %v", rest, err)
			}
		})
	}
}

// A client that has closed its side is not waited for without end: it may have gone. An app that is
// silent for HalfCloseTimeout is told, at the beginning of its answer and in the middle.
func TestClosedClientIsNotServedForEver(t *testing.T) {
	for name, first := range map[string]string{
		"before the answer": "", "with a length": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx",
		"in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", "until the end": "HTTP/1.1 200 OK\r\n\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			r := &Router{HalfCloseTimeout: 20 * time.Millisecond}
			addr := start(t, r)
			told := make(chan struct{})
			r.Set("blog", at(rawBackend(t, func(c net.Conn) {
				br := bufio.NewReader(c)
				readHead(br)
				io.WriteString(c, first)
				br.ReadByte()
				close(told)
			})))
			c, _ := dial(t, addr)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
			c.(*net.TCPConn).CloseWrite()
			closes(t, "the app told", told)
			until(t, "all given back", func() bool { return len(r.gate.slots) <= 1 && r.crowd.busy.Load() == 0 })
		})
	}
}

// An app learns at once that the listener to its event stream has left.
func TestEventStreamListenerLeaves(t *testing.T) {
	r := &Router{HalfCloseTimeout: time.Hour}
	addr := start(t, r)
	left := make(chan struct{})
	r.Set("blog", at(backend(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-req.Context().Done()
		close(left)
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "data: 1\n" {
			break
		}
	}
	c.Close()
	closes(t, "the app told", left)
}

// switches is a process that switches protocols and then does as it is told.
func switches(t *testing.T, protocol string, then func(net.Conn, *bufio.Reader)) string {
	return rawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n", protocol)
		then(c, br)
	})
}

// Once one side of a tunnel has closed, the other is closed after HalfCloseTimeout at the latest,
// whatever it does.
func TestTunnelEndsOnBothSides(t *testing.T) {
	appLeft := make(chan struct{}, 1)
	told := make(chan struct{}, 5)
	for name, then := range map[string]func(net.Conn, *bufio.Reader){
		"the app does not close": func(c net.Conn, br *bufio.Reader) {
			io.Copy(io.Discard, br) // hears that the visitor has gone
			c.Read(make([]byte, 1))
			appLeft <- struct{}{}
			for err := error(nil); err == nil; _, err = c.Write([]byte("x")) { // until the front door has closed
				time.Sleep(10 * time.Millisecond)
			}
		},
		"the app does not even read": func(c net.Conn, br *bufio.Reader) {
			appLeft <- struct{}{}
			for {
				time.Sleep(10 * time.Millisecond)
				c.SetWriteDeadline(time.Now().Add(patience))
				if _, err := c.Write(nil); err != nil {
					return
				}
				if one := make([]byte, 1); !alive(c, one) {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Router{HalfCloseTimeout: 50 * time.Millisecond}
			addr := start(t, r)
			r.Set("blog", at(switches(t, "websocket", func(c net.Conn, br *bufio.Reader) {
				then(c, br)
				told <- struct{}{}
			})))
			for range 5 {
				c, _ := websocket(t, addr)
				io.WriteString(c, "hello")
				c.Close()
				<-appLeft
			}
			until(t, "closed", func() bool {
				r.streamMu.Lock()
				defer r.streamMu.Unlock()
				return len(r.streams) == 0 && len(r.gate.slots) <= 1 && r.crowd.busy.Load() == 0
			})
			for range 5 {
				closes(t, "the app's side closed", told)
			}
		})
	}
	t.Run("the visitor does not close", func(t *testing.T) {
		r := &Router{HalfCloseTimeout: 50 * time.Millisecond}
		addr := start(t, r)
		r.Set("blog", at(switches(t, "websocket", func(net.Conn, *bufio.Reader) {})))
		_, br := websocket(t, addr)
		if _, err := br.ReadByte(); err != io.EOF {
			t.Error(err)
		}
		until(t, "closed", func() bool { return len(r.gate.slots) <= 1 })
	})
}

// alive reports whether the other side still has c open for reading and writing.
func alive(c net.Conn, buf []byte) bool {
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(buf)
	return err == nil || isTimeout(err)
}

// A tunnel whose one side has closed stays open for the other as long as that has something to say,
// so that a protocol other than websocket can end in its own way.
func TestTunnelHalfClosed(t *testing.T) {
	r := &Router{HalfCloseTimeout: 2 * time.Second}
	addr := start(t, r)
	r.Set("blog", at(switches(t, "tcp", func(c net.Conn, br *bufio.Reader) {
		n, _ := io.Copy(io.Discard, br)
		for range 4 {
			time.Sleep(r.HalfCloseTimeout * 3 / 10)
			fmt.Fprintf(c, "%d ", n)
		}
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"+repeat(100_000))
	readHead(br)
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(br); string(got) != "100000 100000 100000 100000 " || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// A tunnel carries any amount both ways, and ends where one side takes nothing for StallTimeout.
func TestTunnelBulk(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", at(websocketApp(t, "")))
	c, br := websocket(t, addr)
	const size = 20 << 20
	go func() {
		io.WriteString(c, repeat(size))
		c.(*net.TCPConn).CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, br); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}

	r = &Router{StallTimeout: 50 * time.Millisecond}
	addr = start(t, r)
	ended := make(chan struct{})
	r.Set("blog", at(switches(t, "websocket", func(c net.Conn, _ *bufio.Reader) {
		defer close(ended)
		for err := error(nil); err == nil; _, err = c.Write(make([]byte, 1<<20)) {
		}
	})))
	websocket(t, addr) // reads nothing
	closes(t, "the app's side closed", ended)
	until(t, "closed", func() bool { return len(r.gate.slots) <= 1 })
}

// A client that was told to hurry, just as its request came, is watched all the same.
func TestHurriedClientIsWatched(t *testing.T) {
	r := &Router{HalfCloseTimeout: time.Millisecond}
	addr := start(t, r)
	arrived, left := make(chan struct{}), make(chan struct{})
	r.Set("blog", at(backend(t, func(w http.ResponseWriter, req *http.Request) {
		close(arrived)
		<-req.Context().Done()
		close(left)
	})))
	c, _ := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	closes(t, "request at the app", arrived)
	time.Sleep(2 * watchAfter) // somebody watches
	r.sessions.mu.Lock()
	for s := range r.sessions.all {
		s.hurry()
	}
	r.sessions.mu.Unlock()
	time.Sleep(2 * lastCall)
	c.Close()
	closes(t, "app told", left)
}

// A client that has closed its side gives an app no more time to begin its answer than others do.
func TestDribbledHeaderForHalfClosedClient(t *testing.T) {
	r := &Router{ResponseTimeout: 200 * time.Millisecond, HalfCloseTimeout: time.Minute}
	addr := start(t, r)
	r.Set("blog", at(rawBackend(t, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
		for err := error(nil); err == nil; _, err = io.WriteString(c, "x") {
			time.Sleep(10 * time.Millisecond)
		}
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	c.(*net.TCPConn).CloseWrite()
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 504 {
		t.Errorf("%v %v", resp, err)
	}
}

// A client that was told to hurry, and does, has as long as others for the rest of its header and
// for its body.
func TestHurriedClientIsServed(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", at(backend(t, echoes)))
	c, br := dial(t, addr)
	var s *session
	until(t, "accepted", func() bool {
		r.sessions.mu.Lock()
		defer r.sessions.mu.Unlock()
		for s = range r.sessions.all {
		}
		return s != nil && s.waitsSince() > 0
	})
	s.hurry()
	for _, part := range []string{"POST / HTTP/1.1\r\n", "Host: blog.localhost\r\nContent-Length: 2\r\n\r\nh"} {
		io.WriteString(c, part)
		until(t, "begun", func() bool { return s.waitsSince() == 0 })
		s.hurry() // too late
		time.Sleep(2 * lastCall)
	}
	io.WriteString(c, "i")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v", resp, err)
	}
}
