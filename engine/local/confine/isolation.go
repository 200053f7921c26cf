package confine

import (
	"fmt"
	"strings"
)

// Isolation says by which means apps are separated.
type Isolation struct {
	Users     bool   // each app has its own user, and each process its own mounts
	Sandboxes bool   // each app has its own namespaces, each process its own mounts
	Landlock  int    // the version of the kernel's interface; 0: none, or not used
	Seccomp   bool   // system calls are filtered; not with Users
	Missing   string // what is not in force, and why
}

// Mounts reports whether each process has its own mounts.
func (i Isolation) Mounts() bool { return i.Users || i.Sandboxes }

// String describes i in a few words, for people.
func (i Isolation) String() string {
	var has []string
	switch {
	case i.Users:
		has = append(has, "own user", "private /tmp", "no new privileges")
	case i.Sandboxes:
		has = append(has, "user namespaces", "private /tmp", "no new privileges")
	case i.Landlock > 0:
		has = append(has, "no new privileges")
	}
	if i.Landlock > 0 {
		has = append(has, fmt.Sprintf("Landlock %d", i.Landlock))
	}
	if i.Seccomp {
		has = append(has, "seccomp")
	}
	text := strings.Join(has, ", ")
	if text == "" {
		text = "none"
	}
	if i.Missing != "" {
		text += " (" + i.Missing + ")"
	}
	return text
}

// Any reports whether anything is in force.
func (i Isolation) Any() bool { return i.Mounts() || i.Landlock > 0 }

// Open lists what an app can do although it should not, in a few words each; empty if nothing is
// known.
func (i Isolation) Open() (list []string) {
	if !i.Any() {
		return []string{"everything that the server's user may do"}
	}
	add := func(open bool, what string) {
		if open {
			list = append(list, what)
		}
	}
	add(!i.Mounts(), "Unix sockets of the server's user")
	add(!i.Mounts(), "mode and times of files of the server's user")
	add(!i.Mounts() && i.Landlock < scopes, "signals to other processes of the server's user")
	add(!i.Mounts() && !i.Seccomp, "limits and priorities of other processes of the server's user")
	add(i.Landlock < scopes, "abstract Unix sockets")
	add(i.Users && i.Landlock == 0, "writing where the machine lets every user write")
	return list
}

const scopes = 6 // the first version of Landlock that restricts signals and abstract sockets
