package router

import (
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
)

// What a trusted proxy says about the client is believed and extended; what others say is replaced.
func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		name    string
		trusted string
		sent    http.Header
		want    map[string]string
	}{
		{"a stranger", "192.0.2.0/24", http.Header{
			"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"},
			"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Port": {"1"},
		}, map[string]string{
			"For": "127.0.0.1", "Proto": "http", "Host": "blog.localhost", "Port": "80",
		}},
		{"a proxy", "127.0.0.0/8", http.Header{
			"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"},
			"X-Forwarded-Host": {"www.example:8443"}, "X-Forwarded-Port": {"1"},
		}, map[string]string{
			"For": "203.0.113.7, 127.0.0.1", "Proto": "https", "Host": "www.example:8443", "Port": "8443",
		}},
		{"a proxy that says little", "127.0.0.1/32", http.Header{
			"X-Forwarded-Proto": {"HTTPS, http"},
		}, map[string]string{
			"For": "127.0.0.1", "Proto": "https", "Host": "blog.localhost", "Port": "443",
		}},
		{"a proxy that says nonsense", "127.0.0.1/32", http.Header{
			"X-Forwarded-For": {"unknown"}, "X-Forwarded-Proto": {"gopher"},
			"X-Forwarded-Host": {"a..b"}, "X-Forwarded-Port": {"99999"},
		}, map[string]string{
			"For": "unknown, 127.0.0.1", "Proto": "http", "Host": "blog.localhost", "Port": "80",
		}},
		{"several fields", "127.0.0.1/32", http.Header{
			"X-Forwarded-For": {"203.0.113.7", "198.51.100.1"},
		}, map[string]string{"For": "203.0.113.7, 198.51.100.1, 127.0.0.1"}},
	} {
		r := &Router{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(c.trusted)}}
		addr := start(t, r)
		var seen atomic.Pointer[http.Header]
		r.Set("blog", routeTo(startBackend(t, func(_ http.ResponseWriter, req *http.Request) {
			seen.Store(&req.Header)
		})))
		req := request(t, "GET", addr, "blog.localhost", "/", nil)
		req.Header = c.sent
		do(t, client(t), req)
		for name, want := range c.want {
			if got := seen.Load().Get("X-Forwarded-" + name); got != want {
				t.Errorf("%s: X-Forwarded-%s is %q, want %q", c.name, name, got, want)
			}
		}
	}
}

// An address list sees the client behind the proxies, not what the client claims to be.
func TestAllowBehindProxies(t *testing.T) {
	r := &Router{TrustedProxies: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"),
	}}
	addr := start(t, r)
	r.Set("blog", Route{
		Addrs: []string{startReplying(t, "hello")}, Rules: Rules{Allow: []string{"203.0.113.7"}},
	})
	for chain, want := range map[string]int{
		"203.0.113.7": 200, "203.0.113.7, 10.1.2.3": 200, "::ffff:203.0.113.7": 200,
		"203.0.113.7, 198.51.100.1": 403, "203.0.113.7, 198.51.100.1, 10.1.2.3": 403, "": 403, "x": 403,
	} {
		req := request(t, "GET", addr, "blog.localhost", "/", nil)
		req.Header.Set("X-Forwarded-For", chain)
		if resp, _ := do(t, client(t), req); resp.StatusCode != want {
			t.Errorf("%q: %d", chain, resp.StatusCode)
		}
	}
}
