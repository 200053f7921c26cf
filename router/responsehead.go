package router

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// responseHead is the status line and header of an app's response, spelled as the app sent it.
type responseHead struct {
	status int
	reason string // may be empty
	header header

	length     int64 // of the body; -1 if chunked; untilClose if the connection's end ends it
	closeAfter bool  // the app accepts no further request on this connection
	connection connection
	upgrade    string
}

const untilClose = -2

// readResponse reads a response up to its body. method is the request's; raw is a buffer, returned
// for reuse, and so is fields for its header. A response that cannot be forwarded faithfully is an error.
func readResponse(br *bufio.Reader, raw []byte, fields *fieldBuffer, method string) (*responseHead, []byte, error) {
	raw, err := readLines(br, raw[:0], maxResponseHeaderBytes, true)
	if err != nil {
		return nil, raw, err
	}
	r, err := parseResponse(string(raw), fields.take(), method)
	if err != nil {
		err = fmt.Errorf("response: %w", err)
	}
	return r, raw, err
}

// parseResponse parses a status line and the header that follows, which it appends to h.
func parseResponse(text string, h header, method string) (*responseHead, error) {
	line, lines, _ := strings.Cut(text, "\n")
	line = strings.TrimSuffix(line, "\r")
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	if len(version) != 8 || version[:7] != "HTTP/1." || !isDigit(version[7]) {
		return nil, fmt.Errorf("not HTTP/1: %.40q", line)
	}
	if len(code) != 3 || code[0] == '0' || !isDigit(code[0]) || !isDigit(code[1]) ||
		!isDigit(code[2]) {
		return nil, fmt.Errorf("the status %.20q is not one from 100 to 999", code)
	}
	if !isValue(reason, true) {
		return nil, errMalformed
	}
	r := &responseHead{status: int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0'),
		reason: reason}
	var err error
	if r.header, err = parseHeader(h, lines, true); err != nil {
		return nil, err
	}
	return r, r.parseFraming(method, version[7] == '0')
}

var errLengths = errors.New("more than one Content-Length")

// parseFraming determines the length of the body (RFC 9112 section 6.3) and whether the connection
// can be reused.
func (h *responseHead) parseFraming(method string, old bool) error {
	coding := ""
	chunked, sized := false, false
	for _, f := range h.header {
		var buf [25]byte
		switch string(lower(f.name, &buf)) {
		case "transfer-encoding":
			if chunked = true; !equalFold(f.value, "chunked") {
				coding = f.value
			}
		case "content-length":
			n, ok := parseLength(f.value)
			if !ok {
				return fmt.Errorf("Content-Length: %.40q", f.value)
			}
			if sized && n != h.length {
				return errLengths
			}
			h.length, sized = n, true
		case "upgrade":
			h.upgrade = f.value
		case "connection":
			if err := h.connection.parse(f.value); err != nil {
				return err
			}
		}
	}
	h.closeAfter = h.connection.close || old && !h.connection.keepAlive
	switch {
	case method == "HEAD":
		// An app that does not know the length may be producing the body, and the next request on
		// the connection would wait until that ends.
		h.length, h.closeAfter = 0, h.closeAfter || !sized
	case h.status < 200, h.status == 204, h.status == 304:
		// An app that announces a body where none is allowed may send it later. The next client
		// would get it as its response.
		h.length, h.closeAfter = 0, h.closeAfter || chunked || h.length > 0
	case coding != "":
		return fmt.Errorf("Transfer-Encoding: %.40q", coding)
	case chunked:
		h.length = -1
		// the two contradict each other, and HTTP/1.0 has no chunks
		h.closeAfter = h.closeAfter || sized || old
	case !sized:
		h.length, h.closeAfter = untilClose, true
	}
	return nil
}
