package say

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Screen appends an untrusted line to to, made safe for a terminal. Colours stay, and end with the
// line. Whatever else moves the cursor, rings the bell or queries the terminal is removed. Of a
// progress line that is redrawn with \r, the last form stays. Bytes that are not UTF-8 become
// U+FFFD.
func Screen(to, line []byte) []byte {
	line = bytes.TrimRight(line, "\r\n")
	if i := bytes.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	coloured := false
	for len(line) > 0 {
		if line[0] == 0x1b {
			n := sequenceLen(line)
			if isColour(line[:n]) {
				to = append(to, line[:n]...)
				coloured = true
			}
			line = line[n:]
			continue
		}
		r, size := utf8.DecodeRune(line)
		if r == '\t' || !unicode.IsControl(r) {
			to = utf8.AppendRune(to, r)
		}
		line = line[size:]
	}
	if coloured {
		to = append(to, "\x1b[0m"...)
	}
	return to
}

// isColour reports whether a terminal sequence selects how text looks (SGR: ECMA-48, section
// 8.3.117). xterm's own sequences, with a byte such as > before the numbers, end in m too but do
// something else.
func isColour(sequence []byte) bool {
	numbers, csi := bytes.CutPrefix(sequence, []byte("\x1b["))
	numbers, sgr := bytes.CutSuffix(numbers, []byte("m"))
	return csi && sgr && len(bytes.Trim(numbers, "0123456789;:")) == 0
}
