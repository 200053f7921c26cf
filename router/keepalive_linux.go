package router

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tcpUserTimeout closes connections that do not acknowledge sent data for d. The kernel's default
// is about a quarter of an hour.
func tcpUserTimeout(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { // accepted connections inherit it
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT,
				int(d.Milliseconds()))
		})
		if err == nil {
			err = failed
		}
		return err
	}
}
