package sshd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"paas/rig/sshkey"
	"paas/volume"
	"syscall"
	"testing"
)

// dialRaw connects and sends nothing.
func (w *world) dialRaw() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := &Server{Addr: taken.Addr().String(), HostKey: sshkey.New(t), Keys: &keyring{},
		Git: gitFunc(sayGit), Verbs: verbFunc(sayVerb),
		AppName: volume.CheckName,
		Log:     slog.New(slog.DiscardHandler)}
	if err := s.Listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a taken port: %v", err)
	}
	if err := s.Run(context.Background()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Run on a taken port: %v", err)
	}
	if err := (&Server{Addr: "127.0.0.1:0"}).Run(context.Background()); err == nil {
		t.Error("a server without keys runs")
	}
}

func TestListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := serve(t, func(s *Server) { s.Listener = listener })
	if got := w.run(w.dial(w.alice), "whoami"); w.Address() != listener.Addr() || got.status != 0 {
		t.Errorf("served at %v: %+v", w.Address(), got)
	}
}
