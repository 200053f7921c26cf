package reserved

import (
	"context"
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReservedPort(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	h, err := Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	go func() {
		_, err := h.Accept()
		accepted <- err
	}()
	for range 2 { // net/http closes it twice
		h.Close()
	}
	if err := <-accepted; err == nil {
		t.Error("Accept succeeded after Close")
	}
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect: %v", err)
	}
	for _, share := range []bool{false, true} {
		if l, err := listenOn(addr, share); err == nil {
			l.Close()
			if runtime.GOOS == "linux" {
				t.Errorf("another socket could listen on the port, with SO_REUSEPORT %t", share)
			}
		}
	}
	h.Free()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// listenOn listens as another process would, with SO_REUSEPORT if share.
func listenOn(addr string, share bool) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if share {
			raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		}
		return err
	}}
	return config.Listen(context.Background(), "tcp", addr)
}
