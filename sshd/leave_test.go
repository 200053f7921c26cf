package sshd

import (
	"context"
	"io"
	"net"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"paas/rig"
)

// A server that leaves to another one lets commands go on, lets a client on an open connection run
// another one, and serves a client that has connected but not logged in yet.
func TestLeave(t *testing.T) {
	goOn := make(chan struct{})
	w := serve(t, func(s *Server) {
		s.DrainTimeout = patience
		s.Verbs = verbFunc(func(ctx context.Context, who Identity, args []string, in io.Reader, out, errs io.Writer) int {
			if args[0] != "wait" {
				return sayVerb(ctx, who, args, in, out, errs)
			}
			io.WriteString(out, "waiting\n")
			select {
			case <-goOn:
				return 0
			case <-ctx.Done():
				return 1
			}
		})
	})
	client := w.dial(w.alice)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(out, make([]byte, len("waiting\n")))
	late, err := net.Dial("tcp", w.addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(late, make([]byte, len("SSH-2.0"))); err != nil { // it was accepted
		t.Fatal(err)
	}
	late = &unread{late, []byte("SSH-2.0")}

	w.Leave()
	w.stop()
	rig.Eventually(t, "it accepts no more", func() bool {
		c, err := net.Dial("tcp", w.addr())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	for name, c := range map[string]*gossh.Client{"open": client, "late": overConn(t, late, w.bob)} {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(name, err)
		}
		if text, err := s.Output("hello"); err != nil || len(text) == 0 {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	close(goOn)
	if err := session.Wait(); err != nil {
		t.Errorf("the command: %v", err)
	}
	if err := w.stopped(); err != nil {
		t.Error(err)
	}
}

// unread is a connection of which the start was read already.
type unread struct {
	net.Conn
	start []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.start) > 0 {
		n := copy(p, u.start)
		u.start = u.start[n:]
		return n, nil
	}
	return u.Conn.Read(p)
}

// overConn logs in on a connection.
func overConn(t *testing.T, conn net.Conn, key gossh.Signer) *gossh.Client {
	t.Helper()
	c, chans, reqs, err := gossh.NewClientConn(conn, "paas", config(gossh.PublicKeys(key)))
	if err != nil {
		t.Fatal(err)
	}
	client := gossh.NewClient(c, chans, reqs)
	t.Cleanup(func() { client.Close() })
	return client
}
