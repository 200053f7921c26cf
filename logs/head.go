package logs

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"
)

// head is the first line of a file that continues another one. It contains the number of all lines
// before, so that a reader who has read fewer knows how many it has missed.
type head struct {
	before int64
	at     time.Time
	length int64 // bytes; 0: the file has no head
}

const (
	headPrefix  = "--- after "
	headSuffix  = " lines"
	longestHead = stampLength + 1 + len(headPrefix) + 19 + len(headSuffix) + 1
)

func appendHead(to []byte, at time.Time, before int64) []byte {
	return appendNote(to, at, fmt.Sprintf("after %d lines", before))
}

// parseHead parses a file's first line.
func parseHead(raw []byte) (h head, ok bool) {
	l, ok := parse(raw)
	digits, hasPrefix := bytes.CutPrefix(l.Text, []byte(headPrefix))
	digits, hasSuffix := bytes.CutSuffix(digits, []byte(headSuffix))
	before, err := strconv.ParseInt(string(digits), 10, 64)
	if !ok || !l.Note || !hasPrefix || !hasSuffix || err != nil || before < 0 {
		return head{}, false
	}
	return head{before: before, at: l.Time, length: int64(len(raw)) + 1}, true
}

func headOf(f io.ReaderAt) head {
	buffer := make([]byte, longestHead)
	n, _ := f.ReadAt(buffer, 0) // the caller will report an unreadable file
	if end := bytes.IndexByte(buffer[:n], '\n'); end >= 0 {
		h, _ := parseHead(buffer[:end])
		return h
	}
	return head{}
}
