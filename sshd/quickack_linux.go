package sshd

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// quickAck makes the kernel acknowledge received data at once instead of up to 40 ms later.
// OpenSSH's client uses Nagle's algorithm for commands, so its next small packet waits for our
// acknowledgement. The kernel resets the option by itself, so it is set before each read.
//
// It ignores errors: the connection is then closed, which the read reports.
func quickAck(conn syscall.RawConn) {
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}
