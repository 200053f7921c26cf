// Package reserved listens on ports that nobody else gets while this process lives.
package reserved

import (
	"net"
	"sync"
	"syscall"
)

// Port is a listener that keeps its port after Close: the kernel refuses connections, and
// no other process can listen there. The doors close before the apps end, so otherwise an app could
// listen on a door's port and pass for the door. Free releases the port. A port that the kernel
// chose (port 0) is free after Close, and so is any port on systems other than Linux.
type Port struct {
	*net.TCPListener
	once sync.Once
	err  error // of the first Close
}

// Listen listens on a TCP address, such as ":8080".
func Listen(addr string) (*Port, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Port{TCPListener: l.(*net.TCPListener)}, nil
}

// Free releases the port.
func (h *Port) Free() { h.TCPListener.Close() }

// Close refuses connections from now on, and keeps the port.
func (h *Port) Close() error {
	h.once.Do(func() { h.err = h.refuse() })
	return h.err
}

// refuse makes the kernel refuse connections.
func (h *Port) refuse() error {
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
