//go:build !linux

package router

import (
	"syscall"
	"time"
)

// tcpUserTimeout does nothing: the kernel's default applies.
func tcpUserTimeout(time.Duration) func(string, string, syscall.RawConn) error { return nil }
