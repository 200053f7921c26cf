package router

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A request that the router accepts reaches the app as one request: another server reads the same
// method, target and body, and nothing after it.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /?x HTTP/1.0\r\nContent-Length: 2\r\nX_Y: z\r\n\r\n",
		"PUT http://a:80/b HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n" +
			"Connection: x, close\r\nX: y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"TE: trailers\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, _, err := readRequest(bufio.NewReader(bytes.NewReader(text)), nil, nil)
		if err != nil {
			return
		}
		if _, ok := parseHost(in.authority); !ok || in.method == http.MethodConnect {
			return // refused
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		writeHeader(w,
			&exchange{app: newApp("blog"), req: in, requestID: "id", origin: origin{chain: "192.0.2.1"}})
		const body = "0\r\n\r\n"
		if in.length != 0 {
			w.WriteString(body)
		}
		w.Flush()
		if in.length > int64(len(body)) {
			return
		}
		br := bufio.NewReader(&out)
		req, err := http.ReadRequest(br)
		if err != nil {
			if strings.Contains(err.Error(), "parse ") {
				return // net/url refuses this target
			}
			t.Fatalf("%q was forwarded as an invalid message: %v", text, err)
		}
		got, _ := io.ReadAll(req.Body)
		switch {
		case req.Method != in.method || req.RequestURI != in.target || req.Host != in.authority:
			t.Errorf("%q: %s %s of %s", text, req.Method, req.RequestURI, req.Host)
		case in.length >= 0 && string(got) != body[:in.length]:
			t.Errorf("%q: body %q", text, got)
		case in.length < 0 && (len(got) != 0 || br.Buffered() > 0):
			t.Errorf("%q: chunked body %q, then %d bytes", text, got, br.Buffered())
		case in.length == 0 && br.Buffered() > 0:
			t.Errorf("%q: %d bytes follow", text, br.Buffered())
		}
		for name, want := range map[string]string{"X-Forwarded-For": "192.0.2.1",
			"X-Request-Id": "id", "X-Real-Ip": "", "Proxy": ""} {
			if got := strings.Join(req.Header.Values(name), "|"); got != want {
				t.Errorf("%q: %s: %q", text, name, got)
			}
		}
	})
}

// A response that the router accepts reaches the client as one response.
func FuzzResponse(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HTTP/1.0 404 \nX: y\n\tz\n\n",
		"HTTP/1.1 299\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 204 No\r\nContent-Length: 5\r\nConnection: X\r\nX: y\r\n\r\n",
		"HTTP/1.1 304 Not\r\nDate: x\r\n\r\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
		"HTTP/1.1 426 No\r\nUpgrade: x\r\n\r\n",
	} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	r := &Router{}
	r.init()
	client, _ := net.Pipe()
	f.Fuzz(func(t *testing.T, text []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		resp, _, err := readResponse(bufio.NewReader(bytes.NewReader(text)), nil, nil, method)
		if err != nil || resp.status < 200 {
			return
		}
		for _, f := range resp.header {
			if !isValue(f.value, false) {
				return // a client may refuse control characters
			}
		}
		var out bytes.Buffer
		s := &clientConn{router: r, conn: client, bw: bufio.NewWriter(&out)}
		x := &exchange{router: r, client: s, req: &clientRequest{method: method, minor: 1}}
		x.startResponse(resp)
		s.bw.Flush()
		br := bufio.NewReader(&out)
		got, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q was forwarded as an invalid message: %v", text, err)
		}
		length := resp.length
		if length < 0 {
			length = -1
		}
		if got.StatusCode != resp.status || resp.length != 0 && got.ContentLength != length ||
			br.Buffered() > 0 {
			t.Errorf("%q: %s, length %d, %d bytes follow", text, got.Status, got.ContentLength,
				br.Buffered())
		}
		if len(got.Header.Values("Date")) == 0 {
			t.Errorf("%q: no Date", text)
		}
	})
}
