package engine

import (
	"errors"
	"fmt"
	"syscall"

	"paas/exitcode"
	"paas/volume"
)

// Exit is how a process ended. The zero value is status 0.
type Exit struct {
	Code   int    // exit status, if no signal ended it
	Signal int    // number of the signal that ended it; 0: none
	Reason string // the cause, if the engine knows more; alone if the engine ended the process
	Hint   string // what to do about it

	NoStart int // the status of the [StartError], if it did not start

	Remedy volume.Remedy // what to do about it, for doors to say
}

// Remedied returns what to do about the end, for [volume.RemedyOf].
func (e Exit) Remedied() volume.Remedy { return e.Remedy }

// OK reports whether the process exited by itself with status 0.
func (e Exit) OK() bool { return e == Exit{} }

// Error describes the end: "exit status 3" or "signal: killed", followed by Reason. An Exit that is
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

// Err returns the Exit as an error, or nil if it is OK.
func (e Exit) Err() error {
	if e.OK() {
		return nil
	}
	return e
}

// Status returns the exit status as a shell reports it: 128 plus the signal if one ended the
// process.
func (e Exit) Status() int {
	switch {
	case e.Signal != 0:
		return exitcode.Signal(syscall.Signal(e.Signal))
	case e.NoStart != 0:
		return e.NoStart
	case e.Code == 0 && e.Reason != "":
		return 1
	}
	return e.Code
}

// StartError is the reason why a process did not start.
type StartError struct {
	Status int // as in a shell: 127 if there is no such command, 126 if it cannot be run; else 1
	Reason string
}

func (e StartError) Error() string { return e.Reason }

// ErrForeign is the error of a dial to a port where another program listens.
var ErrForeign = errors.New("another program listens there")
