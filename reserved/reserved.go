// Package reserved listens on ports that nobody else gets while this process lives.
package reserved

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// Port is a listener that keeps its port after Close: the kernel refuses connections, and
// no other process can listen there. The doors close before the apps end, so otherwise an app could
// listen on a door's port and pass for the door. Free releases the port. A port that the kernel
// chose (port 0) is free after Close, and so is any port on systems other than Linux.
type Port struct {
	*net.TCPListener
	once  sync.Once
	err   error // of the first Close
	leave atomic.Bool
}

// Listen listens on a TCP address, such as ":8080".
func Listen(addr string) (*Port, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Port{TCPListener: l.(*net.TCPListener)}, nil
}

// Reopen returns a listener of a socket of [Port.TCPListener.File], of this process or another one,
// also after its Close.
func Reopen(f *os.File) (*Port, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		if err == nil {
			err = os.NewSyscallError("listen", syscall.Listen(int(fd), backlog))
		}
	})
	if err := errors.Join(controlErr, err); err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return &Port{TCPListener: l.(*net.TCPListener)}, nil
}

// backlog is how many connections may wait; the kernel takes its own maximum if that is less.
const backlog = 1<<15 - 1

// Leave decides whether Close leaves the socket to other processes that have it, which go on listening.
func (h *Port) Leave(yes bool) { h.leave.Store(yes) }

// Free releases the port, unless another process has its socket.
func (h *Port) Free() { h.TCPListener.Close() }

// Close refuses connections from now on, and keeps the port.
func (h *Port) Close() error {
	h.once.Do(func() { h.err = h.refuse() })
	return h.err
}

// refuse makes the kernel refuse connections.
func (h *Port) refuse() error {
	if h.leave.Load() {
		return h.TCPListener.Close()
	}
	raw, err := h.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		// With SO_REUSEADDR, another program that sets it could listen on the port now.
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
		if err == nil {
			err = syscall.Shutdown(int(fd), syscall.SHUT_RD)
		}
	})
	if controlErr == nil && err == nil {
		return nil
	}
	return h.TCPListener.Close()
}
