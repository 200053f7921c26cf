//go:build !linux

package child

import (
	"errors"

	"golang.org/x/sys/unix"
)

// process is a process group, all that can be found without /proc.
type process struct{ pid, group int }

// find lists the leaders whose groups live. Children that called setsid are not found.
func (t processTree) find() []process {
	var found []process
	for _, leader := range t.leaders {
		if err := unix.Kill(-leader, 0); err == nil || errors.Is(err, unix.EPERM) {
			found = append(found, process{leader, leader})
		}
	}
	return found
}

func (p process) signal(sig unix.Signal) { unix.Kill(-p.group, sig) }

// sameNamespace finds nothing here.
func sameNamespace(pid int) []process { return nil }
