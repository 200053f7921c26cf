//go:build !linux

package git

import "syscall"

// newSession starts a child in its own session.
func newSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
