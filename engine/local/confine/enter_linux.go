package confine

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter puts the calling thread in the box, for good: the goroutine is locked to it. What it starts
// with attr is born there. For a box in a sandbox it does nothing: see [Box.Start].
func (b *Box) Enter(attr *syscall.SysProcAttr) error {
	if b.in != nil {
		return nil
	}
	if b.Force.mounts() {
		if err := b.see(); err != nil {
			return fmt.Errorf("confine: %w", err)
		}
	}
	if b.Force.Users {
		attr.Credential = &syscall.Credential{Uid: uint32(b.UID), Gid: uint32(b.UID), Groups: []uint32{}}
	}
	if !b.Force.Any() {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confine: no new privileges: %w", err)
	}
	if !b.Force.Users {
		if err := dropCapabilities(); err != nil {
			return fmt.Errorf("confine: drop capabilities: %w", err)
		}
	}
	if b.Force.Landlock > 0 {
		if err := b.restrict(); err != nil {
			return fmt.Errorf("confine: Landlock: %w", err)
		}
	}
	if b.Force.Seccomp {
		if err := filterCalls(!b.Force.Sandboxes); err != nil {
			return fmt.Errorf("confine: seccomp: %w", err)
		}
	}
	return nil
}

// Untraceable keeps everybody but root from looking into this process (PR_SET_DUMPABLE of prctl(2)). Landlock does so for
// what is not in an app's domain; for as long as an app is being born, a thread of this process is.
func Untraceable() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// MayStay says whether a thread that has entered may go on while what it has started runs. With a user of its own
// that can do nothing to it; without, it has the thread's user, and is in the same domain of Landlock's.
func (b *Box) MayStay() bool { return b.Force.Users || !b.Force.Any() }

// dropCapabilities has nothing the thread starts be more than any user, root though its number may be: in a
// container that may not mount. The bounding set is what counts for a root's execve (capabilities(7)).
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
