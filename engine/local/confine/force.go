package confine

import (
	"fmt"
	"strings"
)

// Force is what of it is in force.
type Force struct {
	Users     bool // each app has a user of its own, and its processes mounts of their own
	Sandboxes bool // each app has namespaces of its own, and its processes mounts of their own: see Launcher
	Landlock  int  // the version of the kernel's interface; 0: it has none, or it is not to be used
	Seccomp   bool // calls are filtered; not where Users
	Missing   string
}

// mounts says whether each process has mounts of its own.
func (f Force) mounts() bool { return f.Users || f.Sandboxes }

// String says it in a few words, for people.
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

// Any says whether anything is in force.
func (f Force) Any() bool { return f.mounts() || f.Landlock > 0 }

// Open is what an app can do all the same that it must not, a few words each; empty: nothing that is known.
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

const scopes = 6 // the version of Landlock that keeps signals and abstract sockets in
