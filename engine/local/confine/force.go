package confine

import (
	"fmt"
	"strings"
)

// Force says which features are in force.
type Force struct {
	Users bool // each app has its own user, and each process its own mounts
	// each app has its own namespaces, and each process its own mounts: see Launcher
	Sandboxes bool
	Landlock  int    // the version of the kernel's interface; 0: none, or not used
	Seccomp   bool   // system calls are filtered; not with Users
	Missing   string // what is not in force, and why
}

// mounts reports whether each process has its own mounts.
func (f Force) mounts() bool { return f.Users || f.Sandboxes }

// String describes f in a few words, for people.
func (f Force) String() string {
	var has []string
	switch {
	case f.Users:
		has = append(has, "own user", "private /tmp", "no new privileges")
	case f.Sandboxes:
		has = append(has, "user namespaces", "private /tmp", "no new privileges")
	case f.Landlock > 0:
		has = append(has, "no new privileges")
	}
	if f.Landlock > 0 {
		has = append(has, fmt.Sprintf("Landlock %d", f.Landlock))
	}
	if f.Seccomp {
		has = append(has, "seccomp")
	}
	text := strings.Join(has, ", ")
	if text == "" {
		text = "none"
	}
	if f.Missing != "" {
		text += " (" + f.Missing + ")"
	}
	return text
}

// Any reports whether anything is in force.
func (f Force) Any() bool { return f.mounts() || f.Landlock > 0 }

// Open lists what an app can do although it should not, in a few words each; empty if nothing is
// known.
func (f Force) Open() (list []string) {
	if !f.Any() {
		return []string{"everything that the server's user may do"}
	}
	add := func(open bool, what string) {
		if open {
			list = append(list, what)
		}
	}
	add(!f.mounts(), "Unix sockets of the server's user")
	add(!f.mounts(), "mode and times of files of the server's user")
	add(!f.mounts() && f.Landlock < scopes, "signals to other processes of the server's user")
	add(!f.mounts() && !f.Seccomp, "limits and priorities of other processes of the server's user")
	add(f.Landlock < scopes, "abstract Unix sockets")
	add(f.Users && f.Landlock == 0, "writing where the machine lets every user write")
	return list
}

const scopes = 6 // the first version of Landlock that restricts signals and abstract sockets
