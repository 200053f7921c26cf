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

// A client that closes its side after its request gets its response: from an app, from static
// files, from an app that is waking up, after an upload, and in chunks.
func TestHalfClosedClient(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "big.txt"), []byte(repeat(3<<20)),
		0o600); err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(folder))
	woken := make(chan string, 1)
	r := &Router{Wake: func(app string) { woken <- app }}
	addr := start(t, r)
	app := startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		time.Sleep(3 * hangupWatchDelay) // long enough for the router to notice
		fmt.Fprintf(w, "slow %d", len(body))
		w.(http.Flusher).Flush()
		time.Sleep(3 * hangupWatchDelay)
		io.WriteString(w, " end")
	})
	r.Set("app", routeTo(app))
	r.Set("files", routeTo(startBackend(t, files.ServeHTTP)))
	r.Set("asleep", Route{State: Asleep})
	go func() {
		<-woken
		time.Sleep(3 * hangupWatchDelay)
		r.Set("asleep", routeTo(app))
	}()
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n":                         "slow 0 end",
		"GET / HTTP/1.0\r\nHost: app.localhost\r\n\r\n":                         "slow 0 end",
		"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 2\r\n\r\nhi": "slow 2 end",
		"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 100000\r\n\r\n" +
			repeat(100_000): "slow 100000 end",
		"POST / HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n" +
			"0\r\n\r\n": "slow 2 end",
		"GET /big.txt HTTP/1.1\r\nHost: files.localhost\r\n\r\n": repeat(3 << 20),
		"GET / HTTP/1.1\r\nHost: asleep.localhost\r\n\r\n":       "slow 0 end",
		"GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n":       "There is no app",
		"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\nGET / HTTP/1.1\r\nHost: app.localhost\r\n" +
			"Connection: close\r\n\r\n": "slow 0 end",
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
				if body, err := io.ReadAll(resp.Body); err != nil ||
					!strings.HasPrefix(string(body), want) {
					t.Errorf("%.40q %v", body, err)
				}
			}
			if rest, err := br.ReadByte(); err != io.EOF {
				t.Errorf("after it: %q %v", rest, err)
			}
		})
	}
}

// A client that has closed its side may be gone, so its request ends once the app has been silent
// for HalfCloseTimeout, before or during the response.
func TestHalfClosedClientTimesOut(t *testing.T) {
	for name, first := range map[string]string{
		"before the answer": "",
		"with a length":     "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx",
		"in chunks":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		"until the end":     "HTTP/1.1 200 OK\r\n\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			r := &Router{HalfCloseTimeout: 20 * time.Millisecond}
			addr := start(t, r)
			told := make(chan struct{})
			r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
				br := bufio.NewReader(c)
				readHead(br)
				io.WriteString(c, first)
				br.ReadByte()
				close(told)
			})))
			c, _ := dial(t, addr)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
			c.(*net.TCPConn).CloseWrite()
			waitClosed(t, "the app told", told)
			waitFor(t, "all given back",
				func() bool { return len(r.slots) <= 1 && r.share.inProgress.Load() == 0 })
		})
	}
}

// If the reader of an event stream leaves, or git during a push, the app sees it at once.
func TestListenerLeaves(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "application/x-git-receive-pack-result"} {
		t.Run(kind, func(t *testing.T) {
			r := &Router{HalfCloseTimeout: time.Hour}
			addr := start(t, r)
			left := make(chan struct{})
			r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
				io.Copy(io.Discard, req.Body)
				w.Header().Set("Content-Type", kind)
				io.WriteString(w, "data: 1\n\n")
				w.(http.Flusher).Flush()
				<-req.Context().Done()
				close(left)
			})))
			c, br := dial(t, addr)
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nTransfer-Encoding: chunked\r\n"+
				"\r\n2\r\nhi\r\n0\r\n\r\n")
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
			waitClosed(t, "the app told", left)
		})
	}
}

// switches starts a process that switches to protocol and then calls then.
func switches(t *testing.T, protocol string, then func(net.Conn, *bufio.Reader)) string {
	return startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n"+
			"\r\n", protocol)
		then(c, br)
	})
}

// Once one side of a tunnel has closed, the other is closed within HalfCloseTimeout, whatever it
// does.
func TestTunnelEndsOnBothSides(t *testing.T) {
	appLeft := make(chan struct{}, 1)
	told := make(chan struct{}, 5)
	for name, then := range map[string]func(net.Conn, *bufio.Reader){
		"the app does not close": func(c net.Conn, br *bufio.Reader) {
			io.Copy(io.Discard, br) // until the client has gone
			c.Read(make([]byte, 1))
			appLeft <- struct{}{}
			// until the router has closed
			for err := error(nil); err == nil; _, err = c.Write([]byte("x")) {
				time.Sleep(10 * time.Millisecond)
			}
		},
		"the app does not even read": func(c net.Conn, br *bufio.Reader) {
			appLeft <- struct{}{}
			for {
				time.Sleep(10 * time.Millisecond)
				c.SetWriteDeadline(time.Now().Add(testTimeout))
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
			r.Set("blog", routeTo(switches(t, "websocket", func(c net.Conn, br *bufio.Reader) {
				then(c, br)
				told <- struct{}{}
			})))
			for range 5 {
				c, _ := websocket(t, addr)
				io.WriteString(c, "hello")
				c.Close()
				<-appLeft
			}
			waitFor(t, "closed", func() bool {
				r.streamMu.Lock()
				defer r.streamMu.Unlock()
				return len(r.streams) == 0 && len(r.slots) <= 1 &&
					r.share.inProgress.Load() == 0
			})
			for range 5 {
				waitClosed(t, "the app's side closed", told)
			}
		})
	}
	t.Run("the visitor does not close", func(t *testing.T) {
		r := &Router{HalfCloseTimeout: 50 * time.Millisecond}
		addr := start(t, r)
		r.Set("blog", routeTo(switches(t, "websocket", func(net.Conn, *bufio.Reader) {})))
		_, br := websocket(t, addr)
		if _, err := br.ReadByte(); err != io.EOF {
			t.Error(err)
		}
		waitFor(t, "closed", func() bool { return len(r.slots) <= 1 })
	})
}

// alive reports whether c can be read and written.
func alive(c net.Conn, buf []byte) bool {
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(buf)
	return err == nil || isTimeout(err)
}

// A tunnel with one closed side stays open while the other side sends, so that protocols other than
// websocket can end in their own way.
func TestTunnelHalfClosed(t *testing.T) {
	r := &Router{HalfCloseTimeout: 2 * time.Second}
	addr := start(t, r)
	r.Set("blog", routeTo(switches(t, "tcp", func(c net.Conn, br *bufio.Reader) {
		n, _ := io.Copy(io.Discard, br)
		for range 4 {
			time.Sleep(r.HalfCloseTimeout * 3 / 10)
			fmt.Fprintf(c, "%d ", n)
		}
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: tcp\r\n"+
		"Connection: Upgrade\r\n\r\n"+repeat(100_000))
	readHead(br)
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(br); string(got) != "100000 100000 100000 100000 " || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// A tunnel carries any amount of data both ways. It ends if one side reads nothing for
// StallTimeout.
func TestTunnelBulk(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(websocketApp(t, "")))
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
	r.Set("blog", routeTo(switches(t, "websocket", func(c net.Conn, _ *bufio.Reader) {
		defer close(ended)
		for err := error(nil); err == nil; _, err = c.Write(make([]byte, 1<<20)) {
		}
	})))
	websocket(t, addr) // reads nothing
	waitClosed(t, "the app's side closed", ended)
	waitFor(t, "closed", func() bool { return len(r.slots) <= 1 })
}

// A client whose idle connection was about to be closed when its request arrived is still watched.
func TestClosingIdleClientIsWatched(t *testing.T) {
	r := &Router{HalfCloseTimeout: time.Millisecond}
	addr := start(t, r)
	arrived, left := make(chan struct{}), make(chan struct{})
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		close(arrived)
		<-req.Context().Done()
		close(left)
	})))
	c, _ := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
	waitClosed(t, "request at the app", arrived)
	time.Sleep(2 * hangupWatchDelay) // the client is watched
	r.clients.mu.Lock()
	for s := range r.clients.all {
		s.closeIfIdle()
	}
	r.clients.mu.Unlock()
	time.Sleep(2 * idleGrace)
	c.Close()
	waitClosed(t, "app told", left)
}

// A client that has closed its side does not give the app more time to start its response.
func TestDribbledHeaderForHalfClosedClient(t *testing.T) {
	r := &Router{ResponseTimeout: 200 * time.Millisecond, HalfCloseTimeout: time.Minute}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
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

// A client whose idle connection was about to be closed when its request arrived has the usual time
// for the rest of its header and for its body.
func TestClosingIdleClientIsServed(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, echoBody)))
	c, br := dial(t, addr)
	var s *clientConn
	waitFor(t, "accepted", func() bool {
		r.clients.mu.Lock()
		defer r.clients.mu.Unlock()
		for s = range r.clients.all {
		}
		return s != nil && s.waitingSince() > 0
	})
	s.closeIfIdle()
	for _, part := range []string{"POST / HTTP/1.1\r\n",
		"Host: blog.localhost\r\nContent-Length: 2\r\n\r\nh"} {
		io.WriteString(c, part)
		waitFor(t, "begun", func() bool { return s.waitingSince() == 0 })
		s.closeIfIdle() // too late
		time.Sleep(2 * idleGrace)
	}
	io.WriteString(c, "i")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v", resp, err)
	}
}
