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
	addr := freeAddr(t)
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

// freeAddr returns an address that was not chosen by the kernel for the listener that will have it.
func freeAddr(t *testing.T) string {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return free.Addr().String()
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

// A socket that another process holds goes on listening when a listener of it leaves, and listens
// again after one has refused connections, also while one of its connections is open.
func TestReopen(t *testing.T) {
	first, err := Listen(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	held, err := first.File()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	addr := first.Addr().String()
	visit := func(l *Port) (here net.Conn) {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if here, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { here.Close() })
		return here
	}
	visit(first)
	first.Leave(true)
	first.Close()
	second, err := Reopen(held)
	if err != nil {
		t.Fatal(err)
	}
	visit(second)
	second.Close()
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect: %v", err)
	}
	third, err := Reopen(held)
	if err != nil {
		t.Fatal(err)
	}
	visit(third)
	third.Free()
}
