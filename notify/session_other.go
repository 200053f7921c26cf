//go:build !linux

package notify

import "syscall"

// ownSession puts a child into a session of its own.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
