package router

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
)

// writeHeader writes out's request line and header (RFC 9112 sections 3 and 5), framed for in's
// body. What it writes came through net/http's parser or is ours, so no name or value has a line
// break in it. http.Request.Write does the same for any request at all, slower; and the
// request target would reach the app normalised, where this is the client's to the byte.
func writeHeader(w *bufio.Writer, out, in *http.Request) error {
	target := in.RequestURI
	if !strings.HasPrefix(target, "/") && target != "*" {
		target = in.URL.RequestURI() // absolute-form: the Host header has the rest
	}
	put(w, out.Method, " ", target, " HTTP/1.1\r\nHost: ", out.Host, "\r\n")
	for name, values := range out.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // ours to say
		case "User-Agent":
			if len(values) > 0 && values[0] == "" {
				continue // how ReverseProxy says that there is none
			}
		}
		for _, v := range values {
			put(w, name, ": ", v, "\r\n")
		}
	}
	switch {
	case in.ContentLength > 0:
		put(w, "Content-Length: ", strconv.FormatInt(in.ContentLength, 10), "\r\n")
	case in.ContentLength < 0:
		w.WriteString("Transfer-Encoding: chunked\r\n")
		for name := range in.Trailer {
			put(w, "Trailer: ", name, "\r\n")
		}
	case in.Header["Content-Length"] != nil || in.Method == http.MethodPost || in.Method == http.MethodPut || in.Method == http.MethodPatch:
		w.WriteString("Content-Length: 0\r\n") // RFC 9110 section 8.6
	}
	_, err := w.WriteString("\r\n")
	return err
}

func put(w *bufio.Writer, parts ...string) {
	for _, p := range parts {
		w.WriteString(p) // bufio keeps the first error
	}
}
