package say

import (
	"bytes"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Indent writes the output of tools as the details of a step: it indents every line by seven
// spaces. Of a progress line that is redrawn with \r it keeps the last form only. It removes
// whatever would move the cursor, ring the bell or change colours in the reader's terminal. It
// breaks lines longer than 4 KiB. It keeps at most one line in memory. Not safe for concurrent use.
type Indent struct {
	w      io.Writer
	prefix string // of each line
	line   []byte
	redraw bool // a \r was seen: unless \n follows, the next text replaces the line
	broken bool // the beginning of the line is written already
	err    error
}

// NewIndent returns an Indent that writes to w.
func NewIndent(w io.Writer) *Indent { return &Indent{w: w, prefix: DetailPrefix} }

// NewFlat is NewIndent without the DetailPrefix, for tools that print steps and details themselves,
// and for files that a stranger may have written to. What an Indent has written stays as it is.
func NewFlat(w io.Writer) *Indent { return &Indent{w: w} }

// NewIndentNamed also puts name in front of each line, for several tools that print at once.
func NewIndentNamed(w io.Writer, name string) *Indent {
	return &Indent{w: w, prefix: DetailPrefix + name + ": "}
}

const longestLine = 4 << 10 // bytes, with the prefix

// Write returns the first error of w, now and from then on.
func (in *Indent) Write(p []byte) (int, error) {
	var lines []byte
	longest := longestLine - len(in.prefix)
	for rest := p; len(rest) > 0; {
		at := bytes.IndexAny(rest, "\r\n")
		text := rest
		if at >= 0 {
			text = rest[:at]
		}
		if len(text) > 0 {
			if in.redraw {
				in.line, in.redraw = in.line[:0], false
			}
			fits := min(len(text), longest-len(in.line))
			in.line = append(in.line, text[:fits]...)
			if rest = rest[fits:]; fits < len(text) || len(in.line) == longest {
				lines = in.flush(lines)
				in.broken = true
			}
			if fits < len(text) {
				continue
			}
		}
		if at < 0 {
			break
		}
		if rest[0] == '\r' {
			in.redraw = true
		} else {
			if len(in.line) > 0 || !in.broken {
				lines = in.flush(lines)
			}
			in.redraw, in.broken = false, false
		}
		rest = rest[1:]
	}
	in.send(lines)
	return len(p), in.err
}

// Close writes the last line if it has no line ending. It does not close w. What is written later
// begins on the next line.
func (in *Indent) Close() error {
	if len(in.line) > 0 {
		in.send(in.flush(nil))
		in.broken = true
	}
	return in.err
}

func (in *Indent) flush(lines []byte) []byte {
	lines = append(lines, in.prefix...)
	lines = append(stripControls(lines, in.line), '\n')
	in.line = in.line[:0]
	return lines
}

func (in *Indent) send(lines []byte) {
	if in.err == nil && len(lines) > 0 {
		_, in.err = in.w.Write(lines)
	}
}

// stripControls appends text to to without control characters and terminal sequences (ECMA-48,
// sections 5.4 and 8.3). Tabs stay; bytes that are not UTF-8 become U+FFFD.
func stripControls(to, text []byte) []byte {
	if !slices.ContainsFunc(text, func(c byte) bool { return c < 0x20 && c != '\t' || c >= 0x7f }) {
		return append(to, text...) // the usual case
	}
	for len(text) > 0 {
		if text[0] == 0x1b {
			text = text[sequenceLen(text):]
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

// sequenceLen returns the length of the terminal sequence that text begins with.
func sequenceLen(text []byte) int {
	if len(text) < 2 || text[1] != '[' && text[1] != ']' {
		return min(2, len(text))
	}
	for i := 2; i < len(text); i++ {
		switch c := text[i]; {
		case text[1] == '[' && c >= 0x40 && c <= 0x7e: // the final byte of a CSI
			return i + 1
		case text[1] == ']' && c == 0x07: // xterm lets BEL end an OSC
			return i + 1
		case text[1] == ']' && c == 0x1b: // as does ESC \
			return min(i+2, len(text))
		}
	}
	return len(text)
}
