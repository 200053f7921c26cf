package engine

import (
	"errors"
	"fmt"
	"syscall"

	"paas/exitcode"
)

// Exit is how a process ended. The zero value is status 0.
type Exit struct {
	Code   int    // exit status, where no signal ended it
	Signal int    // number of the signal that ended it; 0: none did
	Reason string // what was behind it, where the engine knows more; on its own where the engine ended it
	Hint   string // what to do about it
}

// OK reports whether the process ended by itself with status 0.
func (e Exit) OK() bool { return e == Exit{} }

// Error describes the end: "exit status 3", "signal: killed", with Reason behind it. An Exit that is
// OK is not an error; see [Exit.Err].
func (e Exit) Error() string {
	text := ""
	switch {
	case e.Signal != 0:
		text = "signal: " + syscall.Signal(e.Signal).String()
	case e.Code != 0:
		text = fmt.Sprintf("exit status %d", e.Code)
	}
	switch {
	case text == "" && e.Reason == "":
		return "exited with status 0"
	case text == "":
		return e.Reason
	case e.Reason != "":
		return text + ": " + e.Reason
	}
	return text
}

// Err is the Exit as an error; nil for one that is OK.
func (e Exit) Err() error {
	if e.OK() {
		return nil
	}
	return e
}

// Status is what a shell makes of the end: the exit status, or 128 and the signal.
func (e Exit) Status() int {
	switch {
	case e.Signal != 0:
		return exitcode.Signal(syscall.Signal(e.Signal))
	case e.Code == 0 && e.Reason != "":
		return 1
	}
	return e.Code
}

// StartError is why a process did not start.
type StartError struct {
	Status int // what a shell exits with: 127 for a command that is not there, 126 for one that cannot be run, else 1
	Reason string
}

func (e StartError) Error() string { return e.Reason }

// ErrForeign is the error of a dial that met a program of somebody else.
var ErrForeign = errors.New("another program listens there")
