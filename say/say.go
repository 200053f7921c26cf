// Package say is the form of what people read in a terminal: steps, details below them and faults,
// as they know them from elsewhere, and text of strangers made fit to be shown. It does not know
// what is said, nor to whom.
package say

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Each of these is one Write; text of several lines keeps its form.

// Step says what begins now.
func Step(w io.Writer, format string, args ...any) { say(w, "-----> ", format, args) }

// Detail says more about the step.
func Detail(w io.Writer, format string, args ...any) { say(w, indentation, format, args) }

// Fault says what went wrong, or what to do about it.
func Fault(w io.Writer, format string, args ...any) { say(w, " !     ", format, args) }

const indentation = "       "

func say(w io.Writer, prefix, format string, args []any) {
	var text strings.Builder
	for line := range strings.Lines(strings.TrimRight(fmt.Sprintf(format, args...), "\n") + "\n") {
		text.WriteString(prefix)
		text.WriteString(string(harmless(nil, []byte(strings.TrimRight(line, "\r\n")))))
		text.WriteByte('\n')
		if prefix == "-----> " {
			prefix = indentation
		}
	}
	io.WriteString(w, text.String()) // who does not listen any more is no reason to stop
}

// Plain makes text of a stranger's fit for another's terminal or a log: on one line, at most limit
// characters, without control characters or those that turn the direction of writing.
func Plain(text string, limit int) string {
	var b strings.Builder
	for _, c := range text {
		if limit--; limit < 0 {
			b.WriteString("...")
			break
		}
		if !unicode.IsPrint(c) {
			c = '?'
		}
		b.WriteRune(c)
	}
	return b.String()
}
