package router

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// startHTTPS runs r with a second door. Hosts below secure have a certificate.
func startHTTPS(t *testing.T, r *Router, secure string) (plain, https string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"*.localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r.HTTPS = &HTTPS{
		Listener: l, Port: port, Has: func(host string) bool { return strings.HasSuffix(host, secure) },
		TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Challenge: func(host, path string) (string, bool) {
			return "answer of " + host, path == challengePath+"token"
		},
	}
	return start(t, r), l.Addr().String()
}

// secureClient returns a client whose TLS handshakes name serverName. It follows no redirect.
func secureClient(t *testing.T, serverName string) *http.Client {
	c := client(t)
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{ServerName: serverName, InsecureSkipVerify: true}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// ask sends a request for host and returns the response and its body.
func ask(t *testing.T, c *http.Client, url, host string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	return do(t, c, req)
}

func TestHTTPS(t *testing.T) {
	r := &Router{}
	plain, https := startHTTPS(t, r, "blog.localhost")
	echo := startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, req.Header.Get("X-Forwarded-Proto")+" "+req.Header.Get("X-Forwarded-Port"))
	})
	r.Set("blog", Route{Addrs: []string{echo}, Hosts: []string{"*.more.example"}, HSTS: time.Hour})
	r.Set("shop", routeTo(echo))
	_, port, _ := net.SplitHostPort(https)

	resp, body := ask(t, secureClient(t, "blog.localhost"), "https://"+https+"/", "blog.localhost:"+port)
	if body != "https "+port || resp.Header.Get("Strict-Transport-Security") != "max-age=3600" {
		t.Errorf("HTTPS: %s %v", body, resp.Header)
	}
	resp, _ = ask(t, secureClient(t, ""), "http://"+plain+"/a%20b?c=d", "blog.localhost:8080")
	if got := resp.Header.Get("Location"); resp.StatusCode != 308 || got != "https://blog.localhost:"+port+"/a%20b?c=d" {
		t.Errorf("HTTP: %d %s", resp.StatusCode, got)
	}
	resp, body = ask(t, secureClient(t, ""), "http://"+plain+"/", "shop.localhost")
	if body != "http 80" || resp.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("HTTP without a certificate: %s %v", body, resp.Header)
	}
	resp, body = ask(t, secureClient(t, ""), "http://"+plain+challengePath+"token", "blog.localhost")
	if resp.StatusCode != 200 || body != "answer of blog.localhost" {
		t.Errorf("challenge: %d %s", resp.StatusCode, body)
	}
	if resp, _ := ask(t, secureClient(t, ""), "http://"+plain+challengePath+"other", "shop.localhost"); resp.StatusCode != 200 {
		t.Errorf("a challenge of the app's own: %d", resp.StatusCode)
	}
	if _, body := ask(t, secureClient(t, ""), "http://"+plain+"/", "x.more.example"); body != "http 80" {
		t.Errorf("wildcard: %s", body)
	}
	r.Set("blog", Route{Addrs: []string{echo}, Plain: true})
	if _, body := ask(t, secureClient(t, ""), "http://"+plain+"/", "blog.localhost"); body != "http 80" {
		t.Errorf("without redirects: %s", body)
	}
}

// A request for an app other than the one that the handshake named gets 421.
func TestMisdirected(t *testing.T) {
	r := &Router{}
	_, https := startHTTPS(t, r, "none")
	app := startReplying(t, "hello")
	r.Set("blog", Route{Addrs: []string{app}, Hosts: []string{"www.example"}})
	r.Set("shop", routeTo(app))
	for _, c := range []struct {
		name, host string
		status     int
	}{
		{"blog.localhost", "blog.localhost", 200}, {"blog.localhost", "BLOG.localhost.:1", 200},
		{"blog.localhost", "www.example", 200}, {"blog.localhost", "shop.localhost", 421},
		{"blog.localhost", "none.localhost", 421}, {"none.localhost", "blog.localhost", 421},
		{"none.localhost", "no.localhost", 404},
	} {
		resp, _ := ask(t, secureClient(t, c.name), "https://"+https+"/", c.host)
		if resp.StatusCode != c.status {
			t.Errorf("%s on a connection for %s: %d", c.host, c.name, resp.StatusCode)
		}
	}
}

func TestRedirects(t *testing.T) {
	r := &Router{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	plain, https := startHTTPS(t, r, "secure.example")
	_, port, _ := net.SplitHostPort(https)
	r.Set("blog", Route{
		Addrs: []string{startReplying(t, "hello")},
		Hosts: []string{"a.example", "www.a.example", "secure.example", "b.example", "*.c.example"},
		Redirects: map[string]string{
			"a.example": "www.a.example", "b.example": "secure.example", "*.c.example": "www.c.example",
		},
	})
	for _, c := range []struct{ host, proto, want string }{
		{"a.example", "", "http://www.a.example/x"},
		{"a.example:8080", "", "http://www.a.example:8080/x"},
		{"a.example", "https", "https://www.a.example/x"},
		{"b.example", "", "https://secure.example:" + port + "/x"},
		{"b.example", "https", "https://secure.example/x"},
		{"secure.example", "", "https://secure.example:" + port + "/x"},
		{"secure.example", "https", ""}, // a proxy in front has TLS: no loop
		{"www.a.example", "", ""},
		{"x.c.example", "", "http://www.c.example/x"},
		{"www.c.example", "", ""},
	} {
		req := request(t, "GET", plain, c.host, "/x", nil)
		if c.proto != "" {
			req.Header.Set("X-Forwarded-Proto", c.proto)
		}
		resp, _ := do(t, secureClient(t, ""), req)
		if got := resp.Header.Get("Location"); got != c.want {
			t.Errorf("%s %s: %s", c.proto, c.host, got)
		}
	}
}

// A client that speaks plain HTTP at the port of HTTPS is told so.
func TestPlainOnHTTPS(t *testing.T) {
	_, https := startHTTPS(t, &Router{}, "none")
	for _, line := range []string{"GET / HTTP/1.1\r\nHost: blog.localhost\r\n\r\n", "DELETE /x HTTP/1.1\r\n\r\n"} {
		conn, br := dial(t, https)
		io.WriteString(conn, line)
		answer, err := io.ReadAll(br)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") ||
			!strings.Contains(string(answer), "use https:// in the address") {
			t.Errorf("%q: %q %v", line, answer, err)
		}
	}
	conn, br := dial(t, https)
	io.WriteString(conn, "\x00\x00\x00\x00\x00")
	if answer, _ := io.ReadAll(br); strings.Contains(string(answer), "HTTP") {
		t.Errorf("something else than HTTP: %q", answer)
	}
}

// Clients that never end their handshake are put out in time, and do not keep others out.
func TestSlowHandshakes(t *testing.T) {
	r := &Router{MaxConns: 10, ReadHeaderTimeout: 300 * time.Millisecond}
	_, https := startHTTPS(t, r, "none")
	r.Set("blog", routeTo(startReplying(t, "hello")))
	var slow []net.Conn
	for range 10 {
		conn, _ := dial(t, https)
		io.WriteString(conn, "\x16\x03\x01") // a record begins
		slow = append(slow, conn)
	}
	resp, _ := ask(t, secureClient(t, "blog.localhost"), "https://"+https+"/", "blog.localhost")
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	for _, conn := range slow {
		if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
			t.Error("a slow client got an answer")
		}
	}
}

// Stop ends both doors.
func TestStopHTTPS(t *testing.T) {
	var https string
	t.Run("run", func(t *testing.T) { _, https = startHTTPS(t, &Router{}, "none") })
	if _, err := net.Dial("tcp", https); err == nil {
		t.Error(fmt.Sprint("the door is open: ", https))
	}
}

// A redirect leads to the app's own names alone: to one that another app has by now, it does not.
func TestRedirectToAnotherApp(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog9", Route{
		Addrs: []string{startReplying(t, "hello")}, Hosts: []string{"a.example", "blog.localhost"},
		Redirects: map[string]string{"a.example": "blog.localhost"},
	})
	status := func() int {
		resp, err := client(t).Transport.RoundTrip(request(t, "GET", addr, "a.example", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != 308 {
		t.Errorf("to the former name: %d", got)
	}
	r.Set("blog", Route{State: Down})
	if got := status(); got != 200 {
		t.Errorf("to another app: %d", got)
	}
}
