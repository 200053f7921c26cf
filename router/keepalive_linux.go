package router

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// giveUpAfter has connections closed that have not acknowledged what was sent to them for that
// long. The kernel would try for a quarter of an hour.
func giveUpAfter(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { // connections inherit it
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		if err == nil {
			err = failed
		}
		return err
	}
}
