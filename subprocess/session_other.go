//go:build !linux

package subprocess

import "syscall"

// OwnSession starts a command in its own session.
func OwnSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
