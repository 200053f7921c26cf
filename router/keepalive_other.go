//go:build !linux

package router

import (
	"syscall"
	"time"
)

// giveUpAfter does nothing: the kernel decides when to give up.
func giveUpAfter(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
