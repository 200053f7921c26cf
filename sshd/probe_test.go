package sshd

import (
	"io"
	"net"
	"testing"
)

func TestProbe(t *testing.T) {
	for greeting, want := range map[string]string{
		"SSH-2.0-paas\r\n":         "",
		"HTTP/1.1 404 Not Found\n": "something else has its port",
		"SSH-2":                    "EOF",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if conn, err := l.Accept(); err == nil {
				io.WriteString(conn, greeting)
				conn.Close()
			}
		}()
		is := ""
		if err := Probe(t.Context(), l.Addr().String()); err != nil {
			is = err.Error()
		}
		l.Close()
		if is != want {
			t.Errorf("a server that greets with %q: %q, want %q", greeting, is, want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Probe(t.Context(), l.Addr().String()); err == nil {
		t.Error("no error although nothing listens")
	}
}
