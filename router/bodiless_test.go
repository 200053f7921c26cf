package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// A response that must not have a body is forwarded without a length (RFC 9110 section 8.6). If it
// announced one, the connection is not reused, because the app may send the body later.
func TestForbiddenBody(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", routeTo(switchesWith(t, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\n\r\n")
	if head, _ := readHead(br); !strings.HasPrefix(head, "HTTP/1.1 101 ") ||
		containsFold(head, "content-length") || containsFold(head, "transfer-encoding") {
		t.Errorf("%q", head)
	}
	for text, reused := range map[string]bool{
		"HTTP/1.1 204 No\r\n\r\n": true, "HTTP/1.1 304 No\r\n\r\n": true,
		"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n":          true,
		"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n":          false,
		"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n":          false,
		"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n": false,
		"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n": false,
		// HTTP/1.0 has no chunks
		"HTTP/1.0 200 No\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n": false,
	} {
		if a, err := parseResponse(text, nil, "GET"); err != nil || a.closeAfter == reused {
			t.Errorf("%q: last %v %v", text, a.closeAfter, err)
		}
	}
}

func switchesWith(t *testing.T, fields string) string {
	return startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
			"Connection: Upgrade\r\n%s\r\n", fields)
		br.ReadByte()
	})
}

// A response that switches to no named protocol is invalid, whatever protocols the client offered.
func TestSwitchToNothing(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, _ := script(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n")
	r.Set("blog", routeTo(app))
	resp := sendRaw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: websocket,\r\n"+
		"Connection: Upgrade\r\n\r\n")
	if resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
}
