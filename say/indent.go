package say

import (
	"bytes"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Indent writes what tools print as details of a step: every line indented by seven spaces, of a
// progress line drawn over with \r only its last form, and nothing that moves a cursor, rings or
// recolours the terminal it ends up on. Lines longer than 4 KiB are broken. It keeps at most one
// line in memory. Not for concurrent use.
type Indent struct {
	w    io.Writer
	with string // in front of each line
	line []byte
	over bool // a \r was seen: what comes next, unless \n, draws over the line
	long bool // this line began in an earlier one
	err  error
}

// NewIndent writes to w.
func NewIndent(w io.Writer) *Indent { return &Indent{w: w, with: indentation} }

// NewFlat is NewIndent without the indentation: for tools that print steps and details themselves.
func NewFlat(w io.Writer) *Indent { return &Indent{w: w} }

// NewIndentNamed writes to w, with name in front of each line: where several tools print at once.
func NewIndentNamed(w io.Writer, name string) *Indent {
	return &Indent{w: w, with: indentation + name + ": "}
}

const longestLine = 4 << 10

// Write returns w's error, once there was one.
func (in *Indent) Write(p []byte) (int, error) {
	var lines []byte
	for rest := p; len(rest) > 0; {
		at := bytes.IndexAny(rest, "\r\n")
		text := rest
		if at >= 0 {
			text = rest[:at]
		}
		if len(text) > 0 {
			if in.over {
				in.line, in.over = in.line[:0], false
			}
			fits := min(len(text), longestLine-len(in.line))
			in.line = append(in.line, text[:fits]...)
			if rest = rest[fits:]; fits < len(text) || len(in.line) == longestLine {
				lines = in.flush(lines)
				in.long = true
			}
			if fits < len(text) {
				continue
			}
		}
		if at < 0 {
			break
		}
		if rest[0] == '\r' {
			in.over = true
		} else {
			if len(in.line) > 0 || !in.long {
				lines = in.flush(lines)
			}
			in.over, in.long = false, false
		}
		rest = rest[1:]
	}
	in.send(lines)
	return len(p), in.err
}

// Close writes a last line that was not ended. It does not close w.
func (in *Indent) Close() error {
	if len(in.line) > 0 {
		in.send(in.flush(nil))
	}
	return in.err
}

func (in *Indent) flush(lines []byte) []byte {
	lines = append(lines, in.with...)
	lines = append(harmless(lines, in.line), '\n')
	in.line = in.line[:0]
	return lines
}

func (in *Indent) send(lines []byte) {
	if in.err == nil && len(lines) > 0 {
		_, in.err = in.w.Write(lines)
	}
}

// harmless appends text without control characters and terminal sequences (ECMA-48, sections 5.4
// and 8.3); tabs stay, bytes that are not UTF-8 become U+FFFD.
func harmless(to, text []byte) []byte {
	if !slices.ContainsFunc(text, func(c byte) bool { return c < 0x20 && c != '\t' || c >= 0x7f }) {
		return append(to, text...) // nearly always
	}
	for len(text) > 0 {
		if text[0] == 0x1b {
			text = text[sequence(text):]
			continue
		}
		r, size := utf8.DecodeRune(text)
		if r == '\t' || !unicode.IsControl(r) {
			to = utf8.AppendRune(to, r)
		}
		text = text[size:]
	}
	return to
}

// sequence is the length of the terminal sequence that text begins with.
func sequence(text []byte) int {
	if len(text) < 2 || text[1] != '[' && text[1] != ']' {
		return min(2, len(text))
	}
	for i := 2; i < len(text); i++ {
		switch c := text[i]; {
		case text[1] == '[' && c >= 0x40 && c <= 0x7e: // the final byte of a CSI
			return i + 1
		case text[1] == ']' && c == 0x07: // BEL ends an OSC, as xterm has it
			return i + 1
		case text[1] == ']' && c == 0x1b: // or ESC \
			return min(i+2, len(text))
		}
	}
	return len(text)
}
