package sshd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// dialRaw connects and says nothing.
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
	dir := t.TempDir()
	s := &Server{Addr: taken.Addr().String(), Dir: dir, Keys: &Keys{Dir: dir}, Git: gitFunc(sayGit), Verbs: verbFunc(sayVerb),
		Log: slog.New(slog.DiscardHandler)}
	if err := s.Listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a taken port: %v", err)
	}
	if err := s.Run(context.Background()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Run on a taken port: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, hostKeyFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "host key: ") {
		t.Errorf("Run with a damaged host key: %v", err)
	}
	if err := (&Server{Addr: "127.0.0.1:0", Dir: dir}).Run(context.Background()); err == nil {
		t.Error("a server without keys runs")
	}
}

// A server that starts again is the same server to its clients, on a listener of the caller's too.
func TestRestartKeepsTheHostKey(t *testing.T) {
	dir := t.TempDir()
	var prints []string
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w := serve(t, func(s *Server) { s.Dir, s.Listener = dir, listener })
		if w.Address() != listener.Addr() {
			t.Error("the listener given is not the one served")
		}
		c := config(gossh.PublicKeys(w.alice))
		c.HostKeyCallback = func(_ string, _ net.Addr, key gossh.PublicKey) error {
			prints = append(prints, gossh.FingerprintSHA256(key))
			return nil
		}
		client, err := gossh.Dial("tcp", w.addr(), c)
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		if err := w.stopped(); err != nil {
			t.Fatal(err)
		}
	}
	if prints[0] != prints[1] {
		t.Errorf("host keys %v", prints)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
}
