package router

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// clientRequest is a request line and header, spelled as the client sent it.
type clientRequest struct {
	method, target string
	authority      string // from an absolute target, else the Host field: host with optional port
	minor          int    // of HTTP/1.minor
	header         header

	length          int64 // of the body; 0 if there is none; -1 if chunked
	hasLength       bool  // there is a Content-Length, perhaps 0
	closeAfter      bool  // the client accepts or supports no further request on this connection
	expectsContinue bool  // the client waits for 100 (Continue) before it sends the body
	connection      connection
	upgrade         string // the protocol to switch to, or ""
}

// requestError is a malformed or unsupported request. Its connection must be closed, because the
// end of the request is unknown.
type requestError struct {
	status int
	why    string
}

func (f *requestError) Error() string { return f.why }

func badRequest(why string) *requestError { return &requestError{http.StatusBadRequest, why} }

var headerTooLong = &requestError{http.StatusRequestHeaderFieldsTooLarge, "The header is too long."}

// readRequest reads a request up to its body. raw is a buffer, returned for reuse, and so is fields for
// its header. The error is a *requestError or the read error.
func readRequest(br *bufio.Reader, raw []byte, fields *fieldBuffer) (*clientRequest, []byte, error) {
	raw, err := readLines(br, raw[:0], maxHeaderBytes, true)
	switch {
	case errors.Is(err, errTooLong):
		return nil, raw, headerTooLong
	case err == io.EOF && len(raw) > 0:
		return nil, raw, io.ErrUnexpectedEOF
	case err != nil:
		return nil, raw, err
	}
	r, err := parseRequest(string(raw), fields.take())
	return r, raw, err
}

// parseRequest parses a request line and the header that follows, which it appends to h.
func parseRequest(text string, h header) (*clientRequest, error) {
	line, lines, _ := strings.Cut(text, "\n")
	line, ok := strings.CutSuffix(line, "\r")
	r := &clientRequest{}
	method, rest, ok2 := strings.Cut(line, " ")
	target, version, ok3 := strings.Cut(rest, " ")
	if !ok || !ok2 || !ok3 || !isToken(method) || !isTarget(target) {
		return nil, badRequest("The request line is malformed.")
	}
	if len(version) != 8 || version[:5] != "HTTP/" || !isDigit(version[5]) || version[6] != '.' ||
		!isDigit(version[7]) {
		return nil, badRequest("The request line is malformed.")
	}
	if version[5] != '1' {
		return nil, &requestError{http.StatusHTTPVersionNotSupported,
			"This server supports only HTTP/1."}
	}
	r.method, r.target, r.minor = method, target, int(version[7]-'0')
	var err error
	if r.header, err = parseHeader(h, lines, false); errors.Is(err, errTooLong) {
		return nil, headerTooLong
	} else if err != nil {
		return nil, badRequest("The header is malformed.")
	}
	if err := r.parseFraming(); err != nil {
		return nil, err
	}
	return r, r.parseTarget()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isTarget reports whether s is a valid request target: no spaces or control characters, and valid
// percent-encoding in the path (RFC 3986 section 2.1).
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

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// parseFraming determines the length of the body (RFC 9112 section 6.3) and whether the connection
// can be reused. It refuses everything that two servers could read differently.
func (r *clientRequest) parseFraming() error {
	var codings, lengths, hosts int
	var coding, length, expect, upgrade string
	for _, f := range r.header {
		var buf [25]byte
		switch string(lower(f.name, &buf)) {
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
			if err := r.connection.parse(f.value); err != nil {
				return headerTooLong
			}
		}
	}
	switch {
	case hosts > 1 || hosts == 0 && r.minor > 0:
		return badRequest("There must be exactly one Host header.")
	case codings > 0 && lengths > 0:
		return badRequest("Content-Length and Transfer-Encoding must not both be set.")
	case codings > 0 && r.minor == 0:
		return badRequest("HTTP/1.0 does not support Transfer-Encoding.")
	case codings == 1 && equalFold(coding, "chunked"):
		r.length = -1
	case codings > 0:
		return &requestError{http.StatusNotImplemented,
			"The only supported Transfer-Encoding is chunked."}
	case lengths > 1:
		return badRequest("There must be at most one Content-Length.")
	case lengths == 1:
		n, ok := parseLength(length)
		if !ok {
			return badRequest("The Content-Length is not a number.")
		}
		r.length, r.hasLength = n, true
	}
	r.closeAfter = r.connection.close || r.minor == 0 && !r.connection.keepAlive
	if r.minor == 0 {
		return nil // HTTP/1.0 has neither 100 (Continue) nor Upgrade
	}
	if expect != "" {
		if !equalFold(expect, "100-continue") {
			return &requestError{http.StatusExpectationFailed,
				"The only supported expectation is 100-continue."}
		}
		r.expectsContinue = r.length != 0
	}
	// Ignore Upgrade if a body would still be on its way: a server may always do so (RFC 9110
	// section 7.8). Over HTTP/2 the client could send the app any header, including our own.
	if r.length == 0 && upgrade != "" && r.connection.upgrade && !r.header.contains("Upgrade",
		"h2c") {
		r.upgrade = upgrade
	}
	return nil
}

// parseLength parses a Content-Length: only digits (RFC 9110 section 8.6).
func parseLength(s string) (n int64, ok bool) {
	u, err := strconv.ParseUint(s, 10, 63)
	return int64(u), err == nil
}

// parseTarget splits an absolute target. Its authority then takes precedence over the Host field
// (RFC 9112 section 3.2.2).
func (r *clientRequest) parseTarget() error {
	switch {
	case r.target[0] == '/', r.method == http.MethodConnect, r.target == "*" &&
		r.method == http.MethodOptions:
		return nil
	}
	scheme, rest, ok := strings.Cut(r.target, "://")
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return badRequest("The request target is neither a path nor an http URL.")
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

// path returns the target without its query.
func (r *clientRequest) path() string {
	path, _, _ := strings.Cut(r.target, "?")
	return path
}

// requestID returns the client's X-Request-Id if it is safe to log, else "".
func (r *clientRequest) requestID() string {
	id := r.header.get("X-Request-Id")
	if len(id) > 128 || strings.ContainsFunc(id,
		func(c rune) bool { return isSpecial(c) && c != '_' && c != '.' }) {
		return ""
	}
	return id
}
