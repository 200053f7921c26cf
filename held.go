package main

import (
	"net"
	"sync"
	"syscall"
)

// heldPort is a listener whose port stays this process's after Close: connections are refused, and nobody else can
// listen there. The doors close before the apps end, and an app that listened on a door's port meanwhile would
// be taken for it. free lets the port go. A port that the kernel chose (port 0), or on a system other than Linux, is
// free once it is closed.
type heldPort struct {
	*net.TCPListener
	once sync.Once
	err  error // of the first Close
}

func listenHeld(addr string) (*heldPort, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &heldPort{TCPListener: l.(*net.TCPListener)}, nil
}

func (h *heldPort) free() { h.TCPListener.Close() }

func (h *heldPort) Close() error {
	h.once.Do(func() { h.err = h.refuse() })
	return h.err
}

// refuse has the kernel refuse connections.
func (h *heldPort) refuse() error {
	raw, err := h.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		// Else a program that sets it too could have the port as soon as nobody listens there.
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
