package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// What may have no body says nothing about one's length (RFC 9110 section 8.6), and the app's
// connection is not used again where it announced one: it may send it later.
func TestBodyWhereNoneMayBe(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", at(switchesWith(t, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")))
	c, br := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	if head, _ := readHead(br); !strings.HasPrefix(head, "HTTP/1.1 101 ") || containsFold(head, "content-length") || containsFold(head, "transfer-encoding") {
		t.Errorf("%q", head)
	}
	for text, reused := range map[string]bool{
		"HTTP/1.1 204 No\r\n\r\n": true, "HTTP/1.1 304 No\r\n\r\n": true, "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n": true,
		"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n": false, "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n": false,
		"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n": false, "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n": false,
		"HTTP/1.0 200 No\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n": false, // HTTP/1.0 knows no chunks
	} {
		if a, err := parseResponse(text, "GET"); err != nil || a.last == reused {
			t.Errorf("%q: last %v %v", text, a.last, err)
		}
	}
}

func switchesWith(t *testing.T, fields string) string {
	return rawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n", fields)
		br.ReadByte()
	})
}

// An app that switches to no protocol at all has not been asked to, whatever the client's list.
func TestSwitchToNothing(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, _ := script(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n")
	r.Set("blog", at(app))
	resp := raw(t, addr, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nUpgrade: websocket,\r\nConnection: Upgrade\r\n\r\n")
	if resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
}
