package router

import (
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// HTTPS is a second door of the router, with TLS.
type HTTPS struct {
	Listener net.Listener // of TCP; Run closes it
	TLS      *tls.Config
	Port     string // in https URLs, as visitors use it

	// Has reports whether visitors of host get a valid certificate: then those who come by plain
	// HTTP are sent to HTTPS. It is called for each of their requests.
	Has func(host string) bool
	// Challenge returns what a certificate authority that asks host for path should get; ok is false
	// for other requests.
	Challenge func(host, path string) (answer string, ok bool)
}

// challengePath begins the paths that a certificate authority asks for (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// answersChallenge responds to a request of a certificate authority, if x is one.
func (x *exchange) answersChallenge(host string) bool {
	h := x.router.HTTPS
	if h == nil || h.Challenge == nil || !strings.HasPrefix(x.req.target, challengePath) {
		return false
	}
	answer, ok := h.Challenge(host, x.req.path())
	if !ok {
		return false // an app may have a client of its own
	}
	head := header{
		{"Content-Type", "application/octet-stream"}, {"Content-Length", strconv.Itoa(len(answer))},
	}
	x.startResponse(&responseHead{status: 200, reason: "OK", header: head, length: int64(len(answer))})
	if x.req.method != http.MethodHead {
		x.writeBody([]byte(answer))
	}
	return true
}

// manners are what visitors of an app are told about its names.
type manners struct {
	redirects map[string]string
	plain     bool   // visitors may stay at plain HTTP
	hsts      string // the value of Strict-Transport-Security; empty: none
	http2     bool   // the app speaks HTTP/2
	inner     bool   // the app is told the client's address in X-Real-Ip
}

// setManners replaces what a's visitors are told.
func (a *app) setManners(route Route) {
	m := manners{redirects: maps.Clone(route.Redirects), plain: route.Plain, inner: route.Inner, http2: route.HTTP2}
	if route.HSTS > 0 {
		m.hsts = "max-age=" + strconv.FormatInt(int64(route.HSTS/time.Second), 10)
	}
	a.manners.Store(&m)
}

// misdirected reports whether the request is for another app than the connection, so that the
// client should use a connection of its own (RFC 9110, section 15.5.20).
func (x *exchange) misdirected(host string) bool {
	name := x.client.serverName
	return name != "" && name != host && x.router.hosts.find(name) != x.router.hosts.find(host)
}

// elsewhere returns the URL that visitors of host are sent to; empty: they are right here.
func (x *exchange) elsewhere(host string) string {
	m, h := x.app.manners.Load(), x.router.HTTPS
	to, redirected := m.redirects[host]
	if !redirected && len(m.redirects) > 0 {
		_, domain, _ := strings.Cut(host, ".")
		to, redirected = m.redirects["*."+domain]
	}
	// Another app may have the name by now, such as the one that this app had before it was renamed.
	if redirected = redirected && to != host && x.router.hosts.find(to) == x.app; !redirected {
		to = host
	}
	https, port := x.https, x.port
	if !https && h != nil && !m.plain && h.Has(to) {
		https, port, redirected = true, h.Port, true
	}
	switch {
	case !redirected:
		return ""
	case https && port != "443", !https && port != "80":
		to = net.JoinHostPort(to, port)
	}
	if https {
		return "https://" + to + x.req.origin()
	}
	return "http://" + to + x.req.origin()
}

// origin is the path and query of the request.
func (r *clientRequest) origin() string {
	if r.target[0] != '/' {
		return "/" // OPTIONS *
	}
	return r.target
}

// redirect sends the client to url, with the same method and body.
func (x *exchange) redirect(url string) {
	const text = "See the header Location.\n"
	head := header{
		{"Location", url}, {"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Length", strconv.Itoa(len(text))},
	}
	x.startResponse(&responseHead{status: http.StatusPermanentRedirect,
		reason: "Permanent Redirect", header: head, length: int64(len(text))})
	if x.linger = x.bodyPending(); x.req.method != http.MethodHead {
		x.writeBody([]byte(text))
	}
}

// greet makes the TLS handshake, within ReadHeaderTimeout. A client that speaks plain HTTP is told
// what to do.
func (cc *clientConn) greet(c *tls.Conn) error {
	c.SetDeadline(time.Now().Add(cc.router.ReadHeaderTimeout))
	err := c.Handshake()
	var other tls.RecordHeaderError
	if errors.As(err, &other) && other.Conn != nil && looksLikeHTTP(other.RecordHeader) {
		const text = "This port speaks HTTPS: use https:// in the address.\n"
		io.WriteString(other.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Content-Length: "+strconv.Itoa(len(text))+"\r\nConnection: close\r\n\r\n"+text)
		closeWrite(other.Conn)
		other.Conn.SetReadDeadline(time.Now().Add(lingerTimeout))
		io.Copy(io.Discard, other.Conn)
	}
	if err != nil {
		return err
	}
	cc.serverName = strings.ToLower(strings.TrimSuffix(c.ConnectionState().ServerName, "."))
	return c.SetDeadline(time.Time{})
}

// looksLikeHTTP reports whether these first bytes of a connection begin a request line.
func looksLikeHTTP(start [5]byte) bool {
	method, _, _ := strings.Cut(string(start[:]), " ")
	return isToken(method) && strings.ToUpper(method) == method
}
