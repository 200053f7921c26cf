package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"paas/access"
	"paas/exitcode"
	"paas/say"
	"paas/terminal"
	"paas/volume"
)

// Kind tells doors and programs what sort of [Fault] it is.
type Kind string

const (
	Usage     Kind = "usage"     // the caller's input is wrong
	Forbidden Kind = "forbidden" // the caller may not
	NotFound  Kind = "not-found" // the input names something that does not exist
	Conflict  Kind = "conflict"  // not possible in the present state
	Failed    Kind = "failed"    // it was tried, and failed
)

// Fault is the error of a verb. Its text is one line, or several if it quotes.
type Fault struct {
	Kind   Kind
	Field  string // the field of the input that is wrong, by its JSON name; empty: none
	Err    error  // what is wrong; nil: the input has not the verb's form
	Next   string // what to do about it; empty: obvious, or not known
	Status int    // the exit status; 0: that of the kind
}

// longestLine is how many bytes the problem and its remedy may have together on one line.
const longestLine = 120

func (f *Fault) Error() string {
	switch {
	case f.Err == nil:
		return f.Next
	case f.Next == "":
		return f.Err.Error()
	}
	text := f.Err.Error()
	if len(text)+len(f.Next) > longestLine || strings.Contains(text+f.Next, "\n") {
		return text + "\n" + f.Next
	}
	return text + "; " + f.Next
}

func (f *Fault) Unwrap() error { return f.Err }

// Exit is the exit status of a program. The door ends with it and prints nothing.
type Exit int

func (e Exit) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// ExitStatus is the exit status for an error of [Run].
func ExitStatus(err error) int {
	var exit Exit
	var fault *Fault
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, terminal.ErrOutputClosed):
		return exitcode.Signal(syscall.SIGPIPE)
	case errors.Is(err, context.Canceled):
		return exitcode.Signal(syscall.SIGINT)
	case !errors.As(err, &fault):
		return 1
	case fault.Status > 0:
		return fault.Status
	case fault.Kind == Usage:
		return 2
	}
	return 1
}

func wrong(field, format string, args ...any) error {
	return &Fault{Kind: Usage, Field: field, Err: fmt.Errorf(format, args...)}
}

func conflict(next, format string, args ...any) error {
	return &Fault{Kind: Conflict, Err: fmt.Errorf(format, args...), Next: next}
}

// AsFault turns every error except an [Exit] into a [Fault].
func AsFault(err error) error {
	var exit Exit
	var fault *Fault
	var denied *access.Denied
	switch next := Advice(volume.RemedyOf(err), bare); {
	case err == nil, errors.As(err, &exit):
		return err
	case errors.As(err, &fault):
		if fault.Next == "" && next != "" { // one that has advice may be shared by calls
			fault.Next = next
		}
		return err
	case errors.As(err, &denied):
		return &Fault{Kind: Forbidden, Err: err, Next: next}
	case errors.Is(err, volume.ErrNoApp):
		return &Fault{Kind: NotFound, Field: "app", Err: err, Next: next}
	default:
		return &Fault{Kind: Failed, Err: err, Next: next}
	}
}

// plain is text that a stranger wrote, for a terminal.
func plain(s string) string { return say.Plain(s, 500) }
