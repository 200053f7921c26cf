package router

import (
	"bufio"
	"errors"
	"slices"
	"strings"
)

// field is one line of a header. The name keeps the sender's spelling, because some apps and
// clients recognise only one.
type field struct{ name, value string }

// header is the list of header fields in the order received.
type header []field

// fieldBuffer is memory for the headers of a client's requests, or of their responses. One exchange at
// a time uses it. nil is none.
type fieldBuffer [24]field

// take returns an empty header that is in the buffer, as long as it fits.
func (b *fieldBuffer) take() header {
	if b == nil {
		return make(header, 0, 16)
	}
	return b[:0]
}

// Limits of a header, so that work per field stays small.
const (
	maxFields = 1000 // Apache allows 100, Node 2000
	maxHops   = 50   // names in Connection fields
	maxFolds  = 50   // folded lines in all: each one copies its field
)

var (
	errMalformed = errors.New("malformed header")
	errTooLong   = errors.New("the header is too long")
)

// get returns the first value of name, or "".
func (h header) get(name string) string {
	for i := range h {
		if equalFold(h[i].name, name) {
			return h[i].value
		}
	}
	return ""
}

// values returns the values of all fields called name.
func (h header) values(name string) (all []string) {
	for i := range h {
		if equalFold(h[i].name, name) {
			all = append(all, h[i].value)
		}
	}
	return all
}

// contains reports whether token is in the comma-separated list name, in any of its fields.
func (h header) contains(name, token string) bool {
	return slices.ContainsFunc(h.values(name),
		func(list string) bool { return listContains(list, token) })
}

// listContains reports whether token is an element of list (RFC 9110 section 5.6.1).
func listContains(list, token string) bool {
	for element := range strings.SplitSeq(list, ",") {
		if equalFold(strings.Trim(element, " \t"), token) {
			return true
		}
	}
	return false
}

// connection is a parsed Connection field (RFC 9110 section 7.6.1, RFC 9112 section 9.6).
type connection struct {
	close, keepAlive, upgrade bool
	names                     []string // other hop-by-hop fields
}

// parse adds one Connection field. It returns errTooLong if there are more than maxHops names.
func (c *connection) parse(list string) error {
	for element := range strings.SplitSeq(list, ",") {
		switch element = strings.Trim(element, " \t"); {
		case equalFold(element, "close"):
			c.close = true
		case equalFold(element, "keep-alive"):
			c.keepAlive = true
		case equalFold(element, "upgrade"):
			c.upgrade = true
		case element == "":
		case len(c.names) == maxHops:
			return errTooLong
		default:
			c.names = append(c.names, element)
		}
	}
	return nil
}

// isHopByHop reports whether a Connection field listed name.
func (c *connection) isHopByHop(name string) bool {
	return slices.ContainsFunc(c.names, func(hop string) bool { return equalFold(hop, name) })
}

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// lower returns name in lower case, in buf so that a switch on it does not allocate. It returns nil
// if name does not fit; no field that we handle is that long.
func lower(name string, buf *[25]byte) []byte {
	if len(name) > len(buf) {
		return nil
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf[i] = c
	}
	return buf[:len(name)]
}

// readLines appends lines from br to buf, up to and including an empty line. With start it skips
// empty lines before the first one (RFC 9112 section 2.2). It returns errTooLong after limit bytes,
// or the read error.
func readLines(br *bufio.Reader, buf []byte, limit int, start bool) ([]byte, error) {
	begin, read := len(buf), 0
	for {
		line, err := br.ReadSlice('\n')
		if read += len(line); read > limit {
			return buf, errTooLong
		}
		if err == bufio.ErrBufferFull {
			buf = append(buf, line...)
			continue
		}
		if err != nil {
			return append(buf, line...), err
		}
		whole := len(buf) == begin || buf[len(buf)-1] == '\n' // else it continues a long line
		empty := whole && (len(line) == 1 || len(line) == 2 && line[0] == '\r')
		if empty && start && len(buf) == begin {
			continue
		}
		buf = append(buf, line...)
		if empty {
			return buf, nil
		}
	}
}

// parseHeader appends the fields in lines, which must end with an empty line, to h. A request must
// follow RFC 9112 exactly: any leniency could make two servers see two different requests. For a
// response, lenient repairs what section 5 asks a proxy to repair: bare line feeds, folded lines
// and space before a colon.
func parseHeader(h header, lines string, lenient bool) (header, error) {
	folds := 0
	for len(lines) > 0 {
		line, rest, _ := strings.Cut(lines, "\n")
		lines = rest
		if l, ok := strings.CutSuffix(line, "\r"); ok {
			line = l
		} else if !lenient {
			return h, errMalformed
		}
		if line == "" {
			return h, nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			if !lenient || len(h) == 0 {
				return h, errMalformed
			}
			if folds++; folds > maxFolds {
				return h, errTooLong
			}
			last := &h[len(h)-1]
			last.value = strings.Trim(last.value+" "+strings.Trim(line, " \t"), " ")
			if !isValue(line, lenient) {
				return h, errMalformed
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if lenient {
			name = strings.TrimRight(name, " \t")
		}
		value = strings.Trim(value, " \t")
		if !ok || !isToken(name) || !isValue(value, lenient) {
			return h, errMalformed
		}
		if len(h) == maxFields {
			return h, errTooLong
		}
		h = append(h, field{name, value})
	}
	return h, errMalformed // no empty line
}

// isToken reports whether s is a valid field name or method (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}

var tokenChars = func() (is [256]bool) {
	for c := range is {
		is[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
			c < 128 && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return is
}()

// isValue reports whether s has no control characters (RFC 9110 section 5.5). lenient forbids only
// those that end a line or a string.
func isValue(s string, lenient bool) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= ' ' && c != 0x7f, c == '\t':
		case !lenient, c == 0, c == '\r', c == '\n':
			return false
		}
	}
	return true
}

// isFraming reports whether name affects the length or routing of a message, or its connection. A
// trailer must not have such fields (RFC 9110 section 6.5.1).
func isFraming(name string) bool {
	var buf [25]byte
	switch string(lower(name, &buf)) {
	case "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer",
		"transfer-encoding", "upgrade":
		return true
	}
	return false
}
