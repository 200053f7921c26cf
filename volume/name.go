package volume

import (
	"errors"
	"fmt"
	"regexp"
)

// NamePattern matches the names of apps: DNS labels (RFC 1123, section 2.1) that begin with a
// letter, so that they fit in front of a domain.
const NamePattern = `^[a-z][a-z0-9-]{0,62}$`

var namePattern = regexp.MustCompile(NamePattern)

// ErrName is the error for a name that no app can have.
var ErrName = errors.New("use a-z, 0-9 and -, start with a letter, at most 63 characters")

// CheckName returns an error that wraps [ErrName] if no app can have that name.
func CheckName(name string) error {
	if namePattern.MatchString(name) && name[len(name)-1] != '-' {
		return nil
	}
	if len(name) > 40 {
		name = name[:40] + "..."
	}
	return fmt.Errorf("%q is not an app name: %w", name, ErrName)
}

// Own is the name of the server's own host below the domain. An app that has it from an earlier
// version keeps its files, and no visitor reaches it.
const Own = "paas"

// checkNew returns an error if no new app can have that name.
func checkNew(name string) error {
	if name == Own {
		return fmt.Errorf("%s is the name of the server's own host: choose another name", name)
	}
	return CheckName(name)
}
