// Package say formats what people read in a terminal: steps, details and faults, in the form that
// Heroku made familiar. It also makes untrusted text safe to print. It knows nothing about the
// content.
package say

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Step, Detail and Fault each call Write once. In text of several lines, each line gets its prefix.

// Step announces what begins now.
func Step(w io.Writer, format string, args ...any) { say(w, StepPrefix, format, args) }

// Detail adds to the current step.
func Detail(w io.Writer, format string, args ...any) { say(w, DetailPrefix, format, args) }

// Fault reports what went wrong, or what to do about it.
func Fault(w io.Writer, format string, args ...any) { say(w, FaultPrefix, format, args) }

// What a line begins with.
const (
	StepPrefix   = "-----> "
	DetailPrefix = "       "
	FaultPrefix  = " !     "
)

func say(w io.Writer, prefix, format string, args []any) {
	var text strings.Builder
	for line := range strings.Lines(strings.TrimRight(fmt.Sprintf(format, args...), "\n") + "\n") {
		text.WriteString(prefix)
		text.WriteString(string(stripControls(nil, []byte(strings.TrimRight(line, "\r\n")))))
		text.WriteByte('\n')
		if prefix == StepPrefix {
			prefix = DetailPrefix
		}
	}
	io.WriteString(w, text.String()) // a reader that has gone away must not stop the work
}

// Plain makes untrusted text safe for a terminal or a log: one line of at most limit characters,
// without control characters and without those that change the direction of writing.
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

// Program is as much of the first word of a command as a log may have: KEY=VALUE may stand in its
// place, or a whole line, and each may have a secret.
func Program(word string) string {
	if i := strings.IndexAny(word, "= \t\r\n"); i >= 0 {
		word = word[:i]
	}
	return Plain(word, 100)
}

// OneLine joins the lines of text, such as those of [errors.Join], with semicolons.
func OneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' }), "; ")
}
