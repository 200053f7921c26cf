//go:build !linux

package git

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// flush syncs all file systems: there is no call for a single one.
func flush(*os.File) error { return os.NewSyscallError("sync", unix.Sync()) }

// newSession starts a child in its own session.
func newSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
