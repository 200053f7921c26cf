package say

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Screen appends a line of a stranger's, made fit for a terminal: its colours stay, and end with it;
// what else moves a cursor, rings or asks the terminal something goes. Of a progress line drawn over
// with \r, only its last form is left; bytes that are not UTF-8 become U+FFFD.
func Screen(to, line []byte) []byte {
	line = bytes.TrimRight(line, "\r\n")
	if over := bytes.LastIndexByte(line, '\r'); over >= 0 {
		line = line[over+1:]
	}
	coloured := false
	for len(line) > 0 {
		if line[0] == 0x1b {
			n := sequence(line)
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

// isColour says whether a terminal sequence is one that selects how text looks (SGR: ECMA-48, 8.3.117).
// xterm's own, with a byte such as > before the numbers, are others that end in m too.
func isColour(sequence []byte) bool {
	numbers, csi := bytes.CutPrefix(sequence, []byte("\x1b["))
	numbers, sgr := bytes.CutSuffix(numbers, []byte("m"))
	return csi && sgr && len(bytes.Trim(numbers, "0123456789;:")) == 0
}
