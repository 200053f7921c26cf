package router

import (
	"bufio"
	"errors"
	"strings"
)

// field is one line of a header. Its name is as the sender wrote it: names are compared without
// regard to case, but there are apps and clients that look for one spelling only.
type field struct{ name, value string }

// head is the lines of a header, in their order.
type head []field

// What a header may hold, so that nothing done for each field costs more than it should.
const (
	maxFields = 1000 // Apache takes 100, node 2000
	maxHops   = 50   // names in Connection
	maxFolds  = 50   // folded lines in all: each copies its field
)

var (
	errMalformed = errors.New("malformed header")
	errTooLong   = errors.New("the header is too long")
)

// get returns the first value of name, or "".
func (h head) get(name string) string {
	for i := range h {
		if same(h[i].name, name) {
			return h[i].value
		}
	}
	return ""
}

// values returns the values of all lines called name.
func (h head) values(name string) (all []string) {
	for i := range h {
		if same(h[i].name, name) {
			all = append(all, h[i].value)
		}
	}
	return all
}

// lists reports whether token is an element of the comma-separated field name, in any of its lines.
func (h head) lists(name, token string) bool {
	for i := range h {
		if same(h[i].name, name) && listed(h[i].value, token) {
			return true
		}
	}
	return false
}

// listed reports whether token is an element of list (RFC 9110 section 5.6.1).
func listed(list, token string) bool {
	for element := range strings.SplitSeq(list, ",") {
		if same(strings.Trim(element, " \t"), token) {
			return true
		}
	}
	return false
}

// connection is what the Connection field says (RFC 9112 section 9.6, RFC 9110 section 7.6.1).
type connection struct {
	close, keep, upgrade bool
	hops                 []string // names of fields for the next neighbour alone
}

// add takes in one line.
func (c *connection) add(list string) error {
	for element := range strings.SplitSeq(list, ",") {
		switch element = strings.Trim(element, " \t"); {
		case same(element, "close"):
			c.close = true
		case same(element, "keep-alive"):
			c.keep = true
		case same(element, "upgrade"):
			c.upgrade = true
		case element == "":
		case len(c.hops) == maxHops:
			return errTooLong
		default:
			c.hops = append(c.hops, element)
		}
	}
	return nil
}

// drops reports whether name is for the next neighbour alone.
func (c *connection) drops(name string) bool {
	for _, hop := range c.hops {
		if same(hop, name) {
			return true
		}
	}
	return false
}

func same(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// lowered writes name in lower case into buf, where a switch can look at it without an allocation.
// Longer names are none that we know.
func lowered(name string, buf *[20]byte) []byte {
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

// readLines appends to buf the lines that br has, up to and with an empty one, and counts those
// at the start of a message for nothing (RFC 9112 section 2.2). It returns errTooLong where there are
// more than limit bytes, else what reading failed with.
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
		whole := len(buf) == begin || buf[len(buf)-1] == '\n' // not the rest of a long line
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

// parseHead appends to h the fields that lines holds, which end with an empty line. A request is
// refused unless it is written as RFC 9112 says, since every leniency is a way to have two servers
// read two different requests. In an answer, lenient mends what section 5 asks a proxy to mend: line
// feeds alone, folded lines, space before the colon.
func parseHead(h head, lines string, lenient bool) (head, error) {
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

// isToken reports whether s is a name or a method (RFC 9110 section 5.6.2).
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
		is[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c < 128 && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return is
}()

// isValue reports whether s has no control characters (RFC 9110 section 5.5), of which lenient
// minds only those that could end a line or a string.
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

// isFraming reports whether name says where a message ends or to whom it goes, which no trailer
// may (RFC 9110 section 6.5.1).
func isFraming(name string) bool {
	var buf [20]byte
	switch string(lowered(name, &buf)) {
	case "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}
