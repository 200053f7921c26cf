package runtime

import (
	"fmt"
	"io"
	"strings"
)

// What a person reads while a release is made, in the form people know from elsewhere: a step, its
// details below it, a fault where it stands. Each is one Write; text of several lines keeps its form.

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
