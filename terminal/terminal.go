// Package terminal describes a person's terminal to the engine that runs a command in it, and takes
// the terminal of this process. It knows no door and no engine.
package terminal

import (
	"errors"
	"regexp"
)

// Terminal is a terminal at the other end of a command.
type Terminal struct {
	Type    string      // for $TERM: "xterm-256color"
	Size    Size        // when the command starts
	Resized <-chan Size // each change since, or only the newest; nil: it does not change
}

// ErrOutputClosed is the error of a write once the client reads no more output.
var ErrOutputClosed = errors.New("the output was closed")

// Size of a terminal, in characters. Zero is unknown.
type Size struct{ Columns, Rows uint16 }

// typePattern is the form that terminfo(5) has its names in; a path is none.
var typePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// CheckType is name, or "dumb" where it is not the name of a terminal type.
func CheckType(name string) string {
	if typePattern.MatchString(name) {
		return name
	}
	return "dumb"
}

// Sizes hands on a terminal's changes of size to one who may be busy: the newest wins.
type Sizes chan Size

// NewSizes has no change to tell yet.
func NewSizes() Sizes { return make(Sizes, 1) }

// Put replaces what has not been taken yet. It never blocks; one goroutine calls it.
func (s Sizes) Put(size Size) {
	select {
	case <-s:
	default:
	}
	s <- size
}
