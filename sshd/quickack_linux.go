package sshd

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// quickAck sends the acknowledgement that the kernel holds back for up to 40 ms. OpenSSH's client
// leaves Nagle's algorithm on for commands: its next small packet waits for our acknowledgement of the
// last one. The kernel turns the option off again by itself, so it is set before each read.
//
// An error means that the connection is closed, which the read reports.
func quickAck(conn syscall.RawConn) {
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}
