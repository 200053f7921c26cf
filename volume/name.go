package volume

import (
	"errors"
	"fmt"
	"regexp"
)

// NamePattern is what an app may be called: a DNS label short enough to stand in front of a
// domain (RFC 1123, section 2.1), starting with a letter, at most 30 characters.
const NamePattern = `^[a-z][a-z0-9-]{0,29}$`

var namePattern = regexp.MustCompile(NamePattern)

// ErrName marks a name that no app can have.
var ErrName = errors.New("use a-z, 0-9 and -, start with a letter, at most 30 characters")

// CheckName says why name cannot be an app's, wrapping [ErrName], or nil.
func CheckName(name string) error {
	if namePattern.MatchString(name) && name[len(name)-1] != '-' {
		return nil
	}
	if len(name) > 40 {
		name = name[:40] + "..."
	}
	return fmt.Errorf("%q is not an app name: %w", name, ErrName)
}
