package main

import (
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
)

func TestReservedPort(t *testing.T) {
	addr := "127.0.0.1:" + freePort()
	h, err := listenReserved(addr)
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
		if l, err := listenOn("tcp", addr, share); err == nil {
			l.Close()
			if runtime.GOOS == "linux" {
				t.Errorf("another socket could listen on the port, with SO_REUSEPORT %t", share)
			}
		}
	}
	h.free()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
