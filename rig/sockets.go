package rig

import (
	"net"
	"os"
	"testing"

	"paas/socketpair"
)

// Sockets returns two unix sockets that are connected to each other, until the test ends.
func Sockets(t testing.TB) (here, there *net.UnixConn) {
	t.Helper()
	a, b, err := socketpair.New()
	if err != nil {
		t.Fatal(err)
	}
	connOf := func(f *os.File) *net.UnixConn {
		defer f.Close()
		conn, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn.(*net.UnixConn)
	}
	return connOf(a), connOf(b)
}
