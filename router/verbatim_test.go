package router

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// script starts a process that records the header of each request and responds with text.
func script(t *testing.T, answer string) (addr string, heads chan string) {
	heads = make(chan string, 10)
	return startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			heads <- head
			io.WriteString(c, answer)
			if !strings.Contains(strings.ToLower(answer), "content-length") &&
				!strings.Contains(answer, "chunked") {
				return
			}
		}
	}), heads
}

// exchangeRaw sends text and returns everything that comes back.
func exchangeRaw(t *testing.T, addr, text string) string {
	t.Helper()
	c, br := dial(t, addr)
	io.WriteString(c, text)
	got, err := io.ReadAll(br)
	if err != nil {
		t.Errorf("%q: %v after %q", text, err, got)
	}
	return regexp.MustCompile(`Date: [^\r]*\r\n`).ReplaceAllString(string(got), "")
}

// Header names reach the app in the client's spelling and order.
func TestRequestHeaderVerbatim(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, heads := script(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	r.Set("blog", routeTo(app))
	exchangeRaw(t, addr, "GET /%7e?a=b HTTP/1.1\r\nhOST: blog.localhost\r\n"+
		"Sec-WebSocket-Key: k\r\nDNT: 1\r\nsec-ch-ua: x\r\nX-REQUEST-START: t=1\r\n"+
		"If-None-Match: \"a\"\r\nCookie: a=1\r\ncookie: b=2\r\nX-empty:\r\nX-obs: \xfc\t.\r\n"+
		"X-Request-Id: abc\r\nConnection: close\r\n\r\n")
	want := "GET /%7e?a=b HTTP/1.1\r\nHost: blog.localhost\r\nSec-WebSocket-Key: k\r\nDNT: 1\r\n" +
		"sec-ch-ua: x\r\nX-REQUEST-START: t=1\r\n" +
		"If-None-Match: \"a\"\r\nCookie: a=1\r\ncookie: b=2\r\nX-empty: \r\nX-obs: \xfc\t.\r\n" +
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: blog.localhost\r\n" +
		"X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nX-Request-Id: abc\r\n\r\n"
	if got := <-heads; got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// Responses reach the client as the app wrote them: names, order, reason, and nothing added but a
// Date.
func TestResponseVerbatim(t *testing.T) {
	for _, test := range [][2]string{
		{"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nWWW-Authenticate: Basic\r\nset-cookie: a=1\r\n" +
			"Set-Cookie: b=2\r\nX-XSS-Protection: 0\r\ncontent-length: 2\r\n\r\nhi",
			"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nWWW-Authenticate: Basic\r\nset-cookie: a=1\r\n" +
				"Set-Cookie: b=2\r\nX-XSS-Protection: 0\r\ncontent-length: 2\r\n" +
				"Connection: close\r\n\r\nhi"},
		// No Content-Type is added, and an empty one stays.
		{"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<!DOCTYPE html>",
			"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<!DOCTYPE html>"},
		{"HTTP/1.1 200 OK\r\nContent-Type:\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Type: \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
			"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"},
		// The reason phrase is the app's.
		{"HTTP/1.1 200 Alles gut, \xfcberall\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 Alles gut, \xfcberall\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 299 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 404 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.1 999 Enough\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 999 Enough\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		// Repaired as RFC 9112 section 5 asks of a proxy.
		{"HTTP/1.1 200 OK\nX : a\nContent-Length: 0\n\n",
			"HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n\tc\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nX: a b c\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		// Hop-by-hop fields are removed, and so are bodies that must not be there.
		{"HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nKeep-Alive: timeout=5\r\n" +
			"X-Hop: 1\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
			"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\nhello",
			"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n" +
				"Connection: close\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n2;x\r\nhi\r\n" +
			"0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n" +
				"hi\r\n0\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"2\r\nhi\r\n0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n" +
				"hi\r\n0\r\n\r\n"},
		{"HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
			"Content-Length: 0\r\n\r\n",
			"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: Upgrade\r\n" +
				"Upgrade: websocket\r\nConnection: close\r\n\r\n"},
	} {
		answer, want := test[0], test[1]
		r := &Router{}
		addr := start(t, r)
		app, _ := script(t, answer)
		r.Set("blog", routeTo(app))
		if got := exchangeRaw(t, addr,
			"GET / HTTP/1.1\r\nHost: blog.localhost\r\nConnection: close\r\n\r\n"); got != want {
			t.Errorf("%q: got\n%q, want\n%q", answer, got, want)
		}
	}
}

// The app's Date is forwarded. If there is none, the router adds one.
func TestDate(t *testing.T) {
	for given, want := range map[string]string{"date: Mon, 02 Jan 2006 15:04:05 GMT\r\n": "2006",
		"": time.Now().UTC().Format("2006")} {
		r := &Router{}
		addr := start(t, r)
		app, _ := script(t, "HTTP/1.1 200 OK\r\n"+given+"Content-Length: 0\r\n\r\n")
		r.Set("blog", routeTo(app))
		resp := sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n")
		if all := resp.Header.Values("Date"); len(all) != 1 || !strings.Contains(all[0], want) {
			t.Errorf("%q: %q", given, all)
		}
	}
}

// HTTP/1.0 has neither 1xx responses nor chunks nor Upgrade.
func TestOldClient(t *testing.T) {
	const hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" +
		"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	for _, test := range [][2]string{
		{hints + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
			"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
		{hints +
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: 1\r\n\r\n",
			"HTTP/1.0 200 OK\r\n\r\nhi"},
	} {
		answer, want := test[0], test[1]
		r := &Router{}
		addr := start(t, r)
		app, heads := script(t, answer)
		r.Set("blog", routeTo(app))
		ask := "POST / HTTP/1.0\r\nHost: blog.localhost\r\nExpect: 100-continue\r\n" +
			"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"
		if got := exchangeRaw(t, addr, ask); got != want {
			t.Errorf("%q: got %q, want %q", answer, got, want)
		}
		if head := <-heads; strings.Contains(head, "Upgrade") {
			t.Errorf("the app saw %q", head)
		}
	}
	// Such a client is not sent 100 (Continue) either.
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, echoBody)))
	c, br := dial(t, addr)
	io.WriteString(c, "POST / HTTP/1.0\r\nHost: blog.localhost\r\nConnection: Keep-Alive\r\n"+
		"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
	if head, err := readHead(br); err != nil || !strings.HasPrefix(head, "HTTP/1.0 200 OK\r\n") ||
		!strings.Contains(head, "Connection: keep-alive\r\n") {
		t.Errorf("%q %v", head, err)
	}
}

// An app's 103 is forwarded with its own names, and its 100 only once.
func TestInformationalResponses(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, _ := script(t, "HTTP/1.1 103 Soon\r\nlink: </x>\r\nConnection: x\r\n\r\n"+
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"+
		"Content-Length: 0\r\n\r\n")
	r.Set("blog", routeTo(app))
	want := "HTTP/1.1 103 Soon\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	if got := exchangeRaw(t, addr,
		"GET / HTTP/1.1\r\nHost: blog.localhost\r\nConnection: close\r\n\r\n"); got != want {
		t.Errorf("got %q", got)
	}
	endless, _ := script(t, strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000)+
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	r.Set("blog", routeTo(endless))
	if got := exchangeRaw(t, addr,
		"GET / HTTP/1.0\r\nHost: blog.localhost\r\n\r\n"); !strings.HasPrefix(got,
		"HTTP/1.0 502 ") {
		t.Errorf("without end: %.40q", got)
	}
}

// A response that cannot be forwarded faithfully becomes a 502 page and one line in the log.
func TestInvalidResponse(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 0 Low\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20 Low\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 -200 Sign\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 +20 Sign\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 a\x00b\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 a\rSet-Cookie: x\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: x\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX y: a\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n folded: x\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
	} {
		var out logRecorder
		r := &Router{Log: slog.New(slog.NewTextHandler(&out, nil))}
		addr := start(t, r)
		app, _ := script(t, answer)
		r.Set("blog", routeTo(app))
		for _, upgrade := range []string{"", "Connection: Upgrade\r\nUpgrade: websocket\r\n"} {
			resp := sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\n"+upgrade+"\r\n")
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != 502 ||
				!strings.Contains(string(body), "sent an invalid response") || err != nil {
				t.Errorf("%q: %s %.60q %v", answer, resp.Status, body, err)
			}
			if got := out.take(); len(got) != 1 || !strings.Contains(got[0], "app=blog") {
				t.Errorf("%q: logged %q", answer, got)
			}
		}
	}
}

// The header of a response reaches the client at once, and each part of the body as it arrives,
// even if the length is known.
func TestTrickle(t *testing.T) {
	for _, framing := range []string{"Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n",
		""} {
		r := &Router{}
		addr := start(t, r)
		step := make(chan bool)
		defer close(step)
		r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
			readHead(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nX-First: 1\r\n"+framing+"\r\n")
			for _, part := range []string{"ab", "cd", "ef"} {
				if !<-step {
					return
				}
				if strings.Contains(framing, "chunked") {
					part = fmt.Sprintf("%x\r\n%s\r\n", len(part), part)
				}
				io.WriteString(c, part)
			}
			if strings.Contains(framing, "chunked") {
				io.WriteString(c, "0\r\n\r\n")
			}
		})))
		c, br := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.0\r\nHost: blog.localhost\r\n\r\n")
		if head, err := readHead(br); err != nil || !strings.Contains(head, "X-First: 1") {
			t.Fatalf("%q: %q %v", framing, head, err)
		}
		for _, part := range []string{"ab", "cd", "ef"} {
			step <- true
			expect(t, br, part)
		}
		if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
			t.Errorf("%q: %q %v", framing, rest, err)
		}
	}
}

// Requests on one connection, and their responses, have no field of one another, whether their headers
// are long or short and whether their bodies are still on their way.
func TestHeadersDoNotMix(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		for name, values := range req.Header {
			if strings.HasPrefix(name, "N-") {
				w.Header()["R"+name] = values
			}
		}
		if req.URL.Path == "/early" {
			return // without the body
		}
		io.Copy(io.Discard, req.Body)
	})))
	var clients sync.WaitGroup
	for k := range 4 {
		clients.Go(func() {
			c := client(t)
			for n := range 50 {
				path, body := "/", io.Reader(nil)
				switch n % 4 {
				case 1:
					body = stringsReader("small")
				case 2:
					body = io.LimitReader(zeros{}, 100<<10)
				case 3:
					path, body = "/early", io.LimitReader(zeros{}, 1<<20)
				}
				req, err := http.NewRequest("POST", "http://"+addr+path, body)
				if err != nil {
					t.Error(err)
					return
				}
				req.Host = "blog.localhost"
				for f := range n % 40 {
					req.Header.Set(fmt.Sprintf("N-%d-%d-%d", k, n, f), fmt.Sprint(f))
				}
				resp, err := c.Do(req)
				if err != nil {
					if path == "/early" {
						continue // the connection may break while the body is sent
					}
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				fields := 0
				for name := range resp.Header {
					if strings.HasPrefix(name, "Rn-") {
						fields++
						if !strings.HasPrefix(name, fmt.Sprintf("Rn-%d-%d-", k, n)) {
							t.Errorf("request %d of client %d has %s", n, k, name)
						}
					}
				}
				if fields != n%40 {
					t.Errorf("request %d of client %d has %d fields", n, k, fields)
				}
			}
		})
	}
	clients.Wait()
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What sends a request to an app that answers before it reads may do so for longer than the exchange,
// while the connection has another request already. The race detector sees it if they share a header.
func TestAnswerBeforeHeader(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, c)
	})))
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			c := client(t)
			for n := range 100 {
				req := request(t, "POST", addr, "blog.localhost", "/", struct{ io.Reader }{stringsReader("body")})
				for f := range 15 {
					req.Header.Set(fmt.Sprintf("N-%d-%d", n, f), "value")
				}
				if resp, err := c.Do(req); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	clients.Wait()
}
