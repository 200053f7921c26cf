package confine

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter confines the calling thread for ever; the goroutine must be locked to it. What it starts
// with attr is confined too. For a box in a sandbox it does nothing, see [Box.Start].
func (b *Box) Enter(attr *syscall.SysProcAttr) error {
	if b.sandbox != nil {
		return nil
	}
	if b.Isolation.Mounts() {
		if err := b.makeMounts(); err != nil {
			return fmt.Errorf("confine: %w", err)
		}
	}
	if b.Isolation.Users {
		id := uint32(b.UID)
		attr.Credential = &syscall.Credential{Uid: id, Gid: id, Groups: []uint32{}}
	}
	if !b.Isolation.Any() {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confine: no new privileges: %w", err)
	}
	if !b.Isolation.Users {
		if err := dropCapabilities(); err != nil {
			return fmt.Errorf("confine: drop capabilities: %w", err)
		}
	}
	if b.Isolation.Landlock > 0 {
		if err := b.enterLandlock(); err != nil {
			return fmt.Errorf("confine: Landlock: %w", err)
		}
	}
	if b.Isolation.Seccomp {
		if err := filterCalls(!b.Isolation.Sandboxes); err != nil {
			return fmt.Errorf("confine: seccomp: %w", err)
		}
	}
	return nil
}

// Untraceable keeps other users, except root, from tracing this process (PR_SET_DUMPABLE of
// prctl(2)). Landlock does so outside an app's domain; but while a command starts, a thread of this
// process is in that domain.
func Untraceable() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// MayStay reports whether the thread that has entered may exist while the command runs. A command
// with its own user cannot do anything to it; one with the server's user is in the same Landlock
// domain and could.
func (b *Box) MayStay() bool { return b.Isolation.Users || !b.Isolation.Any() }

// dropCapabilities makes what the thread starts an ordinary user, even with user id 0, as in a
// container that may not mount. For root the bounding set decides at execve (capabilities(7)).
func dropCapabilities() error {
	var sets [2]unix.CapUserData
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(header, &sets[0]); err != nil {
		return err
	}
	if sets[0].Permitted|sets[1].Permitted == 0 {
		return nil
	}
	if sets[0].Effective&(1<<unix.CAP_SETPCAP) != 0 {
		for c := 0; unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0) == nil; c++ {
		}
	}
	var none [2]unix.CapUserData
	return unix.Capset(header, &none[0])
}
