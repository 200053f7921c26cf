package router

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"unicode"
)

// writeHeader writes the request line and header for the app: the client's own, byte for byte, but
// with what we know about the client instead of its own claims. No name or value contains a line
// break: the parser refused those.
func writeHeader(w *bufio.Writer, x *exchange) {
	in := x.req
	writeStrings(w, in.method, " ", in.target, " HTTP/1.1\r\nHost: ", in.authority, "\r\n")
	writeFieldsTo(x, func(name, value string) { writeStrings(w, name, ": ", value, "\r\n") })
	if in.upgrade != "" {
		writeStrings(w, "Connection: Upgrade\r\nUpgrade: ", in.upgrade, "\r\n")
	}
	switch {
	case in.length > 0:
		writeStrings(w, "Content-Length: ", strconv.FormatInt(in.length, 10), "\r\n")
	case in.length < 0:
		w.WriteString("Transfer-Encoding: chunked\r\n")
	case in.hasLength || in.method == http.MethodPost || in.method == http.MethodPut ||
		in.method == http.MethodPatch:
		w.WriteString("Content-Length: 0\r\n") // RFC 9110 section 8.6
	}
	w.WriteString("\r\n")
}

// writeFieldsTo calls write with the fields for the app that do not frame the message.
func writeFieldsTo(x *exchange, write func(name, value string)) {
	in, trailers := x.req, false
	for _, f := range in.header {
		var buf [25]byte
		switch name := lower(f.name, &buf); string(name) {
		case "connection", "content-length", "forwarded", "host", "keep-alive",
			"proxy-authenticate", "proxy-authorization", "proxy-connection", "transfer-encoding",
			"upgrade":
			continue
		case "authorization":
			if x.user != "" {
				continue // the password was for us
			}
		case "te":
			trailers = trailers || listContains(f.value, "trailers")
			continue
		case "trailer":
			if in.length >= 0 {
				continue
			}
		default:
			if isReserved(f.name) || in.connection.isHopByHop(f.name) {
				continue
			}
		}
		write(f.name, f.value)
	}
	proto := "http"
	if x.https {
		proto = "https"
	}
	write("X-Forwarded-For", x.chain)
	write("X-Forwarded-Host", x.host)
	write("X-Forwarded-Proto", proto)
	write("X-Forwarded-Port", x.port)
	write("X-Request-Id", x.requestID)
	if x.app.manners.Load().inner {
		write("X-Real-Ip", x.from)
	}
	if x.user != "" {
		write("X-Forwarded-User", x.user)
	}
	if trailers {
		write("TE", "trailers")
	}
}

// writeTrailer writes the trailer of a chunked body. It leaves out fields that would be harmful in
// the header, because an app may merge the two.
func writeTrailer(w *bufio.Writer, trailer header) {
	for _, f := range trailer {
		if !isFraming(f.name) && !isReserved(f.name) && !equalFold(f.name, "Forwarded") {
			writeStrings(w, f.name, ": ", f.value, "\r\n")
		}
	}
	w.WriteString("\r\n")
}

// isReserved reports whether only the router may send this field to an app: X-Forwarded-*,
// X-Real-Ip, X-Request-Id, Proxy (CGI turns it into HTTP_PROXY, CVE-2016-5385) and disguised
// spellings of the fields that frame a body. CGI, WSGI and PHP treat '_' as '-', and some servers
// in front of them treat any character that is neither a letter nor a digit as '-'.
func isReserved(name string) bool {
	if len(name) < 5 || strings.IndexByte("cptxCPTX", name[0]) < 0 {
		return false
	}
	if c := name[0] | 0x20; (c == 'c' || c == 't') && !strings.ContainsFunc(name, isSpecial) {
		return false // fast path for Content-Type, Cookie and the like
	}
	name = strings.Map(func(c rune) rune {
		if isSpecial(c) {
			return '-'
		}
		return unicode.ToLower(c)
	}, name)
	switch name {
	case "x-real-ip", "x-request-id", "proxy", "content-length", "transfer-encoding":
		return true
	}
	return strings.HasPrefix(name, "x-forwarded-")
}

func isSpecial(c rune) bool {
	return c != '-' && (c < '0' || '9' < c) && (c < 'a' || 'z' < c) && (c < 'A' || 'Z' < c)
}

func writeStrings(w *bufio.Writer, parts ...string) {
	for _, p := range parts {
		w.WriteString(p) // bufio keeps the first error for Flush
	}
}
