package confine

import (
	"fmt"
	"strings"
)

// Force is what of it is in force.
type Force struct {
	Users    bool // each app has a user of its own, and its processes mounts of their own
	Landlock int  // the version of the kernel's interface; 0: it has none, or it is not to be used
	Missing  string
}

// String says it in a few words, for people.
func (f Force) String() string {
	var has []string
	if f.Users {
		has = append(has, "own user", "private /tmp", "no new privileges")
	} else if f.Landlock > 0 {
		has = append(has, "no new privileges")
	}
	if f.Landlock > 0 {
		has = append(has, fmt.Sprintf("Landlock %d", f.Landlock))
	}
	text := strings.Join(has, ", ")
	switch {
	case text == "":
		text = "none"
	case f.Landlock > 0 && f.Landlock < scopes && !f.Users:
		text += " (signals between apps need Linux 6.12)"
	}
	if f.Missing != "" {
		text += " (" + f.Missing + ")"
	}
	return text
}

// Any says whether anything is in force.
func (f Force) Any() bool { return f.Users || f.Landlock > 0 }

const scopes = 6 // the version of Landlock that keeps signals in
