package router

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
)

// clientRequest is a request as the client wrote it.
type clientRequest struct {
	method, target string
	authority      string // of the target where it is absolute, else the Host field: host, maybe port
	minor          int    // of HTTP/1.minor
	head           head

	length  int64 // of the body; 0: there is none; -1: it is chunked
	sized   bool  // there is a Content-Length, of 0 too
	last    bool  // the client wants, or can, no further request on this connection
	expect  bool  // the client waits for 100 before it sends the body
	hop     connection
	upgrade string // the protocol to switch to; empty: none
}

// faulty is a request that is refused before anybody looks at its host. The connection is closed:
// where it ends, and the next one begins, is anybody's guess.
type faulty struct {
	status int
	why    string
}

func (f *faulty) Error() string { return f.why }

func malformed(why string) error { return &faulty{http.StatusBadRequest, why} }

var tooLong = &faulty{http.StatusRequestHeaderFieldsTooLarge, "The header is too long."}

// readRequest reads one request up to its body. raw is memory to use, and is returned for the next
// call. The error is a *faulty or what reading failed with.
func readRequest(br *bufio.Reader, raw []byte) (*clientRequest, []byte, error) {
	raw, err := readLines(br, raw[:0], maxHeaderBytes, true)
	switch {
	case errors.Is(err, errTooLong):
		return nil, raw, tooLong
	case err == io.EOF && len(raw) > 0:
		return nil, raw, io.ErrUnexpectedEOF
	case err != nil:
		return nil, raw, err
	}
	r, err := parseRequest(string(raw))
	return r, raw, err
}

// parseRequest makes sense of a request line and the header after it.
func parseRequest(text string) (*clientRequest, error) {
	line, lines, _ := strings.Cut(text, "\n")
	line, ok := strings.CutSuffix(line, "\r")
	r := &clientRequest{}
	method, rest, ok2 := strings.Cut(line, " ")
	target, version, ok3 := strings.Cut(rest, " ")
	if !ok || !ok2 || !ok3 || !isToken(method) || !isTarget(target) {
		return nil, malformed("The first line is not one of HTTP.")
	}
	if len(version) != 8 || version[:5] != "HTTP/" || !isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]) {
		return nil, malformed("The first line is not one of HTTP.")
	}
	if version[5] != '1' {
		return nil, &faulty{http.StatusHTTPVersionNotSupported, "This server speaks HTTP/1.1."}
	}
	r.method, r.target, r.minor = method, target, int(version[7]-'0')
	var err error
	if r.head, err = parseHead(make(head, 0, 16), lines, false); errors.Is(err, errTooLong) {
		return nil, tooLong
	} else if err != nil {
		return nil, malformed("The header is malformed.")
	}
	if err := r.frame(); err != nil {
		return nil, err
	}
	return r, r.address()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isTarget reports whether s can be a request target: no space, no control characters, and a path
// whose percent signs stand for bytes (RFC 3986 section 2.1).
func isTarget(s string) bool {
	query := false
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c == 0x7f:
			return false
		case c == '?':
			query = true
		case c == '%' && !query && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])):
			return false
		}
	}
	return s != ""
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// frame finds out how long the request's body is (RFC 9112 section 6.3), and what follows it.
// What two servers could read in two ways is refused.
func (r *clientRequest) frame() error {
	var codings, lengths, hosts int
	var coding, length, expect string
	var upgrade string
	for _, f := range r.head {
		var buf [20]byte
		switch string(lowered(f.name, &buf)) {
		case "transfer-encoding":
			codings++
			coding = f.value
		case "content-length":
			lengths++
			length = f.value
		case "host":
			hosts++
			r.authority = f.value
		case "expect":
			expect = f.value
		case "upgrade":
			upgrade = f.value
		case "connection":
			if err := r.hop.add(f.value); err != nil {
				return tooLong
			}
		}
	}
	switch {
	case hosts > 1 || hosts == 0 && r.minor > 0:
		return malformed("There must be one Host header.")
	case codings > 0 && lengths > 0:
		return malformed("There is a Content-Length beside Transfer-Encoding.")
	case codings > 0 && r.minor == 0:
		return malformed("HTTP/1.0 has no Transfer-Encoding.")
	case codings == 1 && same(coding, "chunked"):
		r.length = -1
	case codings > 0:
		return &faulty{http.StatusNotImplemented, "The only Transfer-Encoding here is chunked."}
	case lengths > 1:
		return malformed("There must be one Content-Length.")
	case lengths == 1:
		n, ok := parseLength(length)
		if !ok {
			return malformed("The Content-Length is not a number.")
		}
		r.length, r.sized = n, true
	}
	r.last = r.hop.close || r.minor == 0 && !r.hop.keep
	if r.minor == 0 {
		return nil // 1.0 knows neither 100 nor Upgrade
	}
	if expect != "" {
		if !same(expect, "100-continue") {
			return &faulty{http.StatusExpectationFailed, "The only expectation here is 100-continue."}
		}
		r.expect = r.length != 0
	}
	// Switching while a body is still under way cannot be done in order, and a server may ignore
	// Upgrade (RFC 9110 section 7.8). HTTP/2 would let the client say anything to the app, also in
	// our name.
	if r.length == 0 && upgrade != "" && r.hop.upgrade && !r.head.lists("Upgrade", "h2c") {
		r.upgrade = upgrade
	}
	return nil
}

// parseLength reads a Content-Length: digits and nothing else (RFC 9110 section 8.6).
func parseLength(s string) (n int64, ok bool) {
	for i := range len(s) {
		if !isDigit(s[i]) || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, s != ""
}

// address makes an absolute target relative: its authority is what counts then, whatever Host says
// (RFC 9112 section 3.2.2).
func (r *clientRequest) address() error {
	switch {
	case r.target[0] == '/', r.method == http.MethodConnect, r.target == "*" && r.method == http.MethodOptions:
		return nil
	}
	scheme, rest, ok := strings.Cut(r.target, "://")
	if !ok || !same(scheme, "http") && !same(scheme, "https") {
		return malformed("The address is neither a path nor one of http.")
	}
	r.authority, r.target = rest, "/"
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		r.authority, r.target = rest[:i], rest[i:]
		if r.target[0] != '/' {
			r.target = "/" + r.target
		}
	}
	return nil
}

// path is the target without its query.
func (r *clientRequest) path() string {
	path, _, _ := strings.Cut(r.target, "?")
	return path
}

// id is the client's X-Request-Id where it is harmless in a log, else "".
func (r *clientRequest) id() string {
	id := r.head.get("X-Request-Id")
	if len(id) > 128 || strings.IndexFunc(id, func(c rune) bool {
		return c != '-' && c != '_' && c != '.' && (c < '0' || '9' < c) && (c < 'A' || 'Z' < c) && (c < 'a' || 'z' < c)
	}) >= 0 {
		return ""
	}
	return id
}
