package router

import (
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	for _, c := range []struct{ in, want string }{ // want "": refused
		{"blog.localhost", "blog.localhost"},
		{"Blog.LocalHost:8080", "blog.localhost"},
		{"blog.localhost.", "blog.localhost"},
		{"blog.localhost.:80", "blog.localhost"},
		{"blog.localhost:", "blog.localhost"},
		{"my_app.x-y.de", "my_app.x-y.de"},
		{"127.0.0.1:5000", "127.0.0.1"},
		{"[::1]:8080", "::1"},
		{"[2001:DB8::1]", "2001:db8::1"},
		{strings.Repeat("a", 63) + ".x", strings.Repeat("a", 63) + ".x"},
		{"", ""}, {".", ""}, {"..", ""}, {"a..b", ""}, {".a", ""}, {"a.b..", ""}, {":80", ""},
		{"a:b", ""}, {"a:65536", ""}, {"a:80:80", ""}, {"a:-1", ""},
		{"::1", ""}, {"[::1", ""}, {"[::1]x", ""}, {"[::1]:x", ""}, {"[127.0.0.1]", ""},
		{"[fe80::1%eth0]", ""}, {"[]", ""},
		{"a b", ""}, {"a/b", ""}, {"user@a", ""}, {"<script>", ""}, {"a\x00", ""},
		{"bücher.de", ""}, {"a,b", ""},
		{strings.Repeat("a", 64), ""}, {strings.Repeat("a.", 128), ""},
	} {
		got, ok := parseHost(c.in)
		if ok != (c.want != "") || got != c.want {
			t.Errorf("parseHost(%q) = %q, %v; want %q", c.in, got, ok, c.want)
		}
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"blog.localhost:80", "[::1]:8", "A.b.", "x..y", "[::ffff:1.2.3.4]",
		"_", "a:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := parseHost(s)
		if !ok {
			if host != "" {
				t.Errorf("refused, but %q", host)
			}
			return
		}
		if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") != "" {
			t.Errorf("%q: odd characters in %q", s, host)
		}
		again := host
		if strings.Contains(host, ":") {
			again = "[" + host + "]"
		}
		if twice, ok := parseHost(again); !ok || twice != host {
			t.Errorf("%q: %q is not final: %q, %v", s, host, twice, ok)
		}
		if p := portOf(s, false); p == "" || !isPort(p) {
			t.Errorf("%q: port %q", s, p)
		}
	})
}

// Every spelling of a host reaches its app, nothing else does, and an invalid host gets 400.
func TestHostsOnTheWire(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", Route{Addrs: []string{startReplying(t, "blog")},
		Hosts: []string{"www.blog.example", "2001:db8::1", "bad host", "[2001:db8::1]"}})
	for _, c := range []struct {
		request string
		status  int
	}{
		{"GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: BLOG.localhost:99\r\n\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: blog.localhost.\r\n\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: www.blog.example\r\n\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: [2001:DB8:0::1]:80\r\n\r\n", 200},
		// RFC 9112 section 3.2.2
		{"GET http://blog.localhost/x HTTP/1.1\r\nHost: elsewhere\r\n\r\n", 200},
		{"OPTIONS * HTTP/1.1\r\nHost: blog.localhost\r\n\r\n", 200},
		{"GET / HTTP/1.1\r\nHost: x.blog.localhost\r\n\r\n", 404},
		{"GET / HTTP/1.1\r\nHost: other.localhost\r\n\r\n", 404},
		{"GET / HTTP/1.1\r\nHost: blog\r\n\r\n", 404},
		{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
		{"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		{"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: blog.localhost:x\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: blog.localhost\r\nHost: blog.localhost\r\n\r\n", 400},
		{"GET http://user@blog.localhost/ HTTP/1.1\r\nHost: blog.localhost\r\n\r\n", 400},
		{"CONNECT blog.localhost:80 HTTP/1.1\r\nHost: blog.localhost:80\r\n\r\n", 405},
		{"TRACE / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n", 405},
	} {
		if resp := sendRaw(t, addr, c.request); resp.StatusCode != c.status {
			t.Errorf("%q: %s, want %d", c.request, resp.Status, c.status)
		}
	}
}

// An app may be served at the domain itself.
func TestRoot(t *testing.T) {
	r := &Router{Domain: "Example.com."}
	addr := start(t, r)
	r.Set("blog", Route{Addrs: []string{startReplying(t, "blog")}, Hosts: []string{"example.com"}})
	for host, want := range map[string]int{"example.com": 200, "example.com:80": 200,
		"blog.example.com": 200, "x.example.com": 404} {
		if status, _ := get(t, addr, host); status != want {
			t.Errorf("%s: %d, want %d", host, status, want)
		}
	}
}
