package router

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"unicode"
)

// writeHeader writes the request line and the header that the app gets: the client's, with
// its Host and its target to the byte, but with what we know about the client in place of what it
// says about itself. No name or value has a line break in it.
func writeHeader(w *bufio.Writer, x *exchange) {
	in := x.in
	put(w, in.method, " ", in.target, " HTTP/1.1\r\nHost: ", in.authority, "\r\n")
	trailers := false
	for _, f := range in.head {
		var buf [20]byte
		switch name := lowered(f.name, &buf); string(name) {
		case "connection", "content-length", "forwarded", "host", "keep-alive", "proxy-authenticate",
			"proxy-authorization", "proxy-connection", "transfer-encoding", "upgrade":
			continue
		case "te":
			trailers = trailers || listed(f.value, "trailers")
			continue
		case "trailer":
			if in.length >= 0 {
				continue
			}
		default:
			if isOurs(f.name) || in.hop.drops(f.name) {
				continue
			}
		}
		put(w, f.name, ": ", f.value, "\r\n")
	}
	proto := "http"
	if x.s.tls {
		proto = "https"
	}
	put(w, "X-Forwarded-For: ", x.s.remote, "\r\nX-Forwarded-Host: ", in.authority, "\r\nX-Forwarded-Proto: ", proto,
		"\r\nX-Forwarded-Port: ", portOf(in.authority, x.s.tls), "\r\nX-Request-Id: ", x.id, "\r\n")
	if trailers {
		w.WriteString("TE: trailers\r\n")
	}
	if in.upgrade != "" {
		put(w, "Connection: Upgrade\r\nUpgrade: ", in.upgrade, "\r\n")
	}
	switch {
	case in.length > 0:
		put(w, "Content-Length: ", strconv.FormatInt(in.length, 10), "\r\n")
	case in.length < 0:
		w.WriteString("Transfer-Encoding: chunked\r\n")
	case in.sized || in.method == http.MethodPost || in.method == http.MethodPut || in.method == http.MethodPatch:
		w.WriteString("Content-Length: 0\r\n") // RFC 9110 section 8.6
	}
	w.WriteString("\r\n")
}

// writeTrailer writes what follows a chunked body. An app may merge it with the header, so the same
// names are left out.
func writeTrailer(w *bufio.Writer, trailer head) {
	for _, f := range trailer {
		if !isFraming(f.name) && !isOurs(f.name) && !same(f.name, "Forwarded") {
			put(w, f.name, ": ", f.value, "\r\n")
		}
	}
	w.WriteString("\r\n")
}

// isOurs reports whether only we may say this to an app: X-Forwarded-* and X-Real-Ip; X-Request-Id,
// which is made where there is none; Proxy, which CGI turns into HTTP_PROXY (CVE-2016-5385); and in
// disguise the names that frame a body. CGI, WSGI and PHP do not tell an underscore from a hyphen;
// some servers in front of them do not tell any character from one that is neither a letter nor a
// digit.
func isOurs(name string) bool {
	if len(name) < 5 || strings.IndexByte("cptxCPTX", name[0]) < 0 {
		return false
	}
	if c := name[0] | 0x20; (c == 'c' || c == 't') && !strings.ContainsFunc(name, isDisguise) {
		return false // such as Content-Type and Cookie, at no cost
	}
	name = strings.Map(func(c rune) rune {
		if isDisguise(c) {
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

func isDisguise(c rune) bool {
	return c != '-' && (c < '0' || '9' < c) && (c < 'a' || 'z' < c) && (c < 'A' || 'Z' < c)
}

func put(w *bufio.Writer, parts ...string) {
	for _, p := range parts {
		w.WriteString(p) // bufio keeps the first error
	}
}
