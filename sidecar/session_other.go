//go:build !linux

package sidecar

import "syscall"

// ownSession puts a child into a session of its own.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
