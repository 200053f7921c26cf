package router

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// appResponse is the header of an app's answer, as the app wrote it.
type appResponse struct {
	status int
	reason string // the app's own words; may be empty
	head   head

	length  int64 // of the body; -1: it is chunked; -2: it ends with the connection
	last    bool  // the app takes no further request on this connection
	hop     connection
	upgrade string
}

const untilClose = -2

// readResponse reads one answer up to its body. method is the request's. An answer that cannot be
// passed on truthfully is an error.
func readResponse(br *bufio.Reader, raw []byte, method string) (*appResponse, []byte, error) {
	raw, err := readLines(br, raw[:0], maxAnswerBytes, true)
	if err != nil {
		return nil, raw, err
	}
	r, err := parseResponse(string(raw), method)
	if err != nil {
		err = fmt.Errorf("answer: %w", err)
	}
	return r, raw, err
}

// parseResponse makes sense of a status line and the header after it.
func parseResponse(text, method string) (*appResponse, error) {
	line, lines, _ := strings.Cut(text, "\n")
	line = strings.TrimSuffix(line, "\r")
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	if len(version) != 8 || version[:7] != "HTTP/1." || !isDigit(version[7]) {
		return nil, fmt.Errorf("not HTTP/1: %.40q", line)
	}
	if len(code) != 3 || code[0] == '0' || !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) {
		return nil, fmt.Errorf("the status %.20q is not one from 100 to 999", code)
	}
	if !isValue(reason, true) {
		return nil, errMalformed
	}
	r := &appResponse{status: int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0'), reason: reason}
	var err error
	if r.head, err = parseHead(make(head, 0, 16), lines, true); err != nil {
		return nil, err
	}
	return r, r.frame(method, version[7] == '0')
}

var errLengths = errors.New("more than one Content-Length")

// frame finds out how long the body is (RFC 9112 section 6.3), and what follows it.
func (r *appResponse) frame(method string, old bool) error {
	coding := ""
	chunked, sized := false, false
	for _, f := range r.head {
		var buf [20]byte
		switch string(lowered(f.name, &buf)) {
		case "transfer-encoding":
			if chunked = true; !same(f.value, "chunked") {
				coding = f.value
			}
		case "content-length":
			n, ok := parseLength(f.value)
			if !ok {
				return fmt.Errorf("Content-Length: %.40q", f.value)
			}
			if sized && n != r.length {
				return errLengths
			}
			r.length, sized = n, true
		case "upgrade":
			r.upgrade = f.value
		case "connection":
			if err := r.hop.add(f.value); err != nil {
				return err
			}
		}
	}
	r.last = r.hop.close || old && !r.hop.keep
	switch {
	case method == "HEAD":
		// An app that does not know how long the body would be may be making it, and would let the
		// next request on the connection wait until it has.
		r.length, r.last = 0, r.last || !sized
	case r.status < 200, r.status == 204, r.status == 304:
		// An app that announces a body where there is none may send it later: it would be taken for
		// the next visitor's answer.
		r.length, r.last = 0, r.last || chunked || r.length > 0
	case coding != "":
		return fmt.Errorf("Transfer-Encoding: %.40q", coding)
	case chunked:
		r.length = -1
		r.last = r.last || sized || old // one of the two is a lie; HTTP/1.0 knows no chunks
	case !sized:
		r.length, r.last = untilClose, true
	}
	return nil
}
