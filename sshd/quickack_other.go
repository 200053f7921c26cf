//go:build !linux

package sshd

import "syscall"

// quickAck does nothing: only Linux has the option.
func quickAck(syscall.RawConn) {}
