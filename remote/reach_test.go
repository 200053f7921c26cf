package remote

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// freePort returns an address that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A host that cannot be reached is told apart from one that answers with an error.
func TestUnreachable(t *testing.T) {
	nothing := freePort(t)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
	}))
	defer broken.Close()
	answers := broken.Listener.Addr().String()
	for url, want := range map[string]bool{
		"http://" + nothing + "/a": true, "https://" + nothing + "/a": true,
		"git://" + nothing + "/a": true, "ssh://git@" + nothing + "/a": true,
		"https://no-such-host.invalid/a": true,
		"http://" + answers + "/a":       false, "https://" + answers + "/a": false,
	} {
		c := newClient(t)
		_, err := c.Head(t.Context(), Remote{URL: url}, Ref{Branch: "main"})
		if err == nil || Unreachable(err) != want {
			t.Errorf("%s: %v: unreachable %v, want %v", url, err, !want, want)
		}
	}
	c := newClient(t)
	if err := c.Reach(t.Context(), nothing); !Unreachable(err) {
		t.Error(err)
	}
	if err := c.Reach(t.Context(), answers); err != nil {
		t.Error(err)
	}
	for url, want := range map[string]string{
		"https://host/a": "host:443", "git@host:a/b": "host:22",
		"http://[::1]:8080/a": "[::1]:8080", "git://host/a": "host:9418", "nonsense": "",
	} {
		if got := HostPort(url); got != want {
			t.Errorf("the host of %s is %q, want %q", url, got, want)
		}
	}
}

// If the proxy is down, nothing is known about the host.
func TestProxyIsNotTheHost(t *testing.T) {
	c := newClient(t)
	c.init()
	c.http.client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http",
		Host: freePort(t)})
	if _, err := c.Head(t.Context(), Remote{URL: "https://host.invalid/a"}, Ref{Branch: "main"}); err == nil ||
		Unreachable(err) {
		t.Error(err)
	}
}
