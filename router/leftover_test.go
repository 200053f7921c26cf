package router

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whatever clients and apps do to each other while the route changes, afterwards no connection,
// goroutine or count is left.
func TestNothingLeaks(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	var log logRecorder
	r := &Router{
		HalfCloseTimeout: 20 * time.Millisecond, StallTimeout: 100 * time.Millisecond,
		DrainTimeout: 20 * time.Millisecond, HoldTimeout: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	t.Run("load", func(t *testing.T) {
		addr := start(t, r)
		serve := func(w http.ResponseWriter, req *http.Request) {
			rc := http.NewResponseController(w)
			if path := req.URL.Path; path == "/silent" || path == "/mute" || path == "/events" {
				// net/http watches the connection only after it has read the body.
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					return
				}
			}
			switch req.URL.Path {
			case "/echo":
				io.Copy(w, req.Body)
			case "/early":
				w.WriteHeader(http.StatusTeapot)
			case "/big":
				w.Write(make([]byte, 4<<20))
			case "/silent":
				rc.Flush()
				<-req.Context().Done()
			case "/mute":
				<-req.Context().Done()
			case "/events":
				w.Header().Set("Content-Type", "text/event-stream")
				for req.Context().Err() == nil {
					io.WriteString(w, "data: x\n\n")
					rc.Flush()
					time.Sleep(time.Millisecond)
				}
			case "/breaks":
				io.WriteString(w, "half")
				rc.Flush()
				panic(http.ErrAbortHandler)
			case "/socket":
				c, brw, err := rc.Hijack()
				if err != nil {
					return
				}
				defer c.Close()
				io.WriteString(c,
					"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
						"Connection: Upgrade\r\n\r\n"+frame(10))
				io.Copy(c, brw)
				if rand.Intn(2) == 0 { // does not close when the client does
					io.Copy(io.Discard, c)
					time.Sleep(10 * time.Millisecond)
				}
			}
		}
		one, two := startBackend(t, serve), startBackend(t, serve)
		r.Set("blog", routeTo(one))
		var asks []string
		for _, path := range []string{"/echo", "/early", "/big", "/silent", "/mute", "/events",
			"/breaks", "/nothing"} {
			head := " HTTP/1.1\r\nHost: blog.localhost\r\n"
			asks = append(asks, "GET "+path+head+"\r\n", "GET "+path+
				" HTTP/1.0\r\nHost: blog.localhost\r\n\r\n", "HEAD "+path+head+"\r\n",
				"POST "+path+head+"Content-Length: 10\r\n\r\n0123456789",
				"POST "+path+head+"Content-Length: 100000\r\n\r\n"+repeat(100_000),
				"POST "+path+head+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
				"POST "+path+head+
					"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n"+
					"\r\n",
				"POST "+path+head+"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "POST "+path+head+
					"Content-Length: 10\r\n\r\n01", "GET "+path+head)
		}
		asks = append(asks, "GET /socket HTTP/1.1\r\nHost: blog.localhost\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+frame(100), "nonsense\r\n\r\n")
		var wg sync.WaitGroup
		for seed := range int64(24) {
			wg.Go(func() {
				dice := rand.New(rand.NewSource(seed))
				for range 15 {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						t.Error(err)
						return
					}
					tcp := c.(*net.TCPConn)
					for range 1 + dice.Intn(3) {
						c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
						io.WriteString(c, asks[dice.Intn(len(asks))])
					}
					c.SetReadDeadline(
						time.Now().Add(time.Duration(dice.Intn(100)) * time.Millisecond))
					switch dice.Intn(5) {
					case 0: // leaves at once
					case 1:
						tcp.CloseWrite()
						io.Copy(io.Discard, c)
					case 2:
						io.CopyN(io.Discard, c, 100)
						tcp.SetLinger(0)
					case 3:
						bufio.NewReader(c).ReadString('\n')
					case 4:
						io.Copy(io.Discard, c)
					}
					c.Close()
				}
			})
		}
		stop := make(chan struct{})
		switched := make(chan struct{})
		go func() {
			defer close(switched)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				r.Set("blog", []Route{routeTo(one), routeTo(two), routeTo(one, two), {}}[n%4])
			}
		}()
		wg.Wait()
		close(stop)
		<-switched
		waitClosed(t, "drained", r.Set("blog", Route{State: Down}))
		waitFor(t, "nobody is left", func() bool {
			r.clients.mu.Lock()
			r.streamMu.Lock()
			defer r.clients.mu.Unlock()
			defer r.streamMu.Unlock()
			return len(r.clients.all) == 0 && len(r.streams) == 0 && len(r.slots) <= 1 &&
				r.share.inProgress.Load() == 0
		})
	})
	waitFor(t, fmt.Sprintf("no more than %d goroutines", goroutines),
		func() bool { return runtime.NumGoroutine() <= goroutines })
	for _, line := range log.take() {
		if strings.Contains(line, "panic") {
			t.Error(line)
		}
	}
}
