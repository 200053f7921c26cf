//go:build !linux

package sshd

import "syscall"

// quickAck does nothing: the option exists only on Linux.
func quickAck(syscall.RawConn) {}
