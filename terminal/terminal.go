// Package terminal describes a person's terminal for the engine that runs a command in it, and
// takes over the terminal of this process. It knows neither doors nor engines.
package terminal

import (
	"errors"
	"regexp"
)

// Terminal is the terminal at the other end of a command.
type Terminal struct {
	Type    string      // for $TERM: "xterm-256color"
	Size    Size        // at the start of the command
	Resized <-chan Size `json:"-"` // later changes, perhaps only the newest; nil: none
}

// ErrOutputClosed is the error of a write once the client reads no more output.
var ErrOutputClosed = errors.New("the output was closed")

// Size is the size of a terminal in characters. Zero means unknown.
type Size struct{ Columns, Rows uint16 }

// typePattern matches the names of terminal types in terminfo(5), but no paths.
var typePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// CheckType returns name, or "dumb" if it is not the name of a terminal type.
func CheckType(name string) string {
	if typePattern.MatchString(name) {
		return name
	}
	return "dumb"
}

// Sizes passes a terminal's changes of size to a reader that may be busy: the newest wins.
type Sizes chan Size

// NewSizes returns an empty Sizes.
func NewSizes() Sizes { return make(Sizes, 1) }

// Put replaces a size that has not been read yet. It never blocks. Only one goroutine may call it.
func (s Sizes) Put(size Size) {
	select {
	case <-s:
	default:
	}
	s <- size
}
