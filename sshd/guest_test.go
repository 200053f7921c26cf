package sshd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// empty reports whether nobody is here, in no place and in no line.
func (gs *guests) empty() bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return len(gs.all) == 0 && gs.strangers.empty() && gs.plain.empty() && gs.admins.empty()
}

func (r *room[P]) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inside == 0 && len(r.of) == 0 && len(r.waiting) == 0
}

func (r *room[P]) count() (inside, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inside, len(r.waiting)
}

type fakeConn struct {
	net.Conn
	addr net.Addr
}

func (c fakeConn) RemoteAddr() net.Addr { return c.addr }
func (c fakeConn) Close() error         { return nil }

// Strangers of one address, and all strangers together, get a part of the connections only. Those
// over it wait, until one leaves, proves a key or runs out of time.
func TestStrangersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gs guests
		gs.limits(64) // 32 strangers, 8 an address
		const queue, handshake = 30 * time.Second, 15 * time.Second
		errs := make(chan error, 300)
		admit := func(ip string) {
			go func() {
				_, err := gs.admit(fakeConn{addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}, queue, handshake, time.Hour)
				errs <- err
			}()
		}
		let := func(want int) {
			t.Helper()
			synctest.Wait()
			if n := len(errs); n != want {
				t.Errorf("%d were let in, want %d", n, want)
			}
			for len(errs) > 0 {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		}
		for i := range 10 {
			admit(fmt.Sprintf("2001:db8::%d", i))
		}
		let(8) // one /64 is one address
		admit("2001:db8:0:1::1")
		let(1)
		for i := range 25 {
			admit(fmt.Sprintf("192.0.2.%d", i))
		}
		let(23)
		// Those who prove a key are no strangers any more.
		gs.mu.Lock()
		known := 0
		for g := range gs.all {
			if g.leave == nil || !strings.HasPrefix(hostOf(g.RemoteAddr()).String(), "192.0.2.") {
				continue
			}
			go gs.known(g, Identity{Fingerprint: "SHA256:bob"}, queue)
			if known++; known == 2 {
				break
			}
		}
		gs.mu.Unlock()
		let(2) // not the two of the /64 that has its share
		time.Sleep(handshake + time.Second)
		let(2)
		time.Sleep(handshake + time.Second)
		if inside, waiting := gs.strangers.count(); inside != 0 || waiting != 0 {
			t.Errorf("%d strangers outstay the time of a handshake, %d wait", inside, waiting)
		}
		gs.closeAll()
		if !gs.empty() {
			t.Error("somebody is left")
		}
		admit("198.51.100.2")
		synctest.Wait()
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A plain key that opens all it may, and the silent strangers of the same address, keep neither an
// admin out nor another key, and do not disturb who is in.
func TestNobodyKeepsAnotherOut(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.MaxConns = 8                                                // half for one key, four strangers an address
		s.HandshakeTimeout, s.QueueTimeout = time.Minute, time.Minute // the machine may be busy
	})
	carol := newSigner(t)
	w.keys.add("carol", carol.PublicKey())
	before := w.dial(w.alice)

	// Bob has his share, and a line of his own behind it, which is full.
	for range 4 {
		w.dial(w.bob)
	}
	var more sync.WaitGroup
	defer more.Wait()
	greedy, stop := context.WithCancel(context.Background())
	defer stop()
	for range 2 * 8 {
		more.Go(func() {
			conn, err := net.Dial("tcp", w.addr())
			if err != nil {
				return
			}
			defer context.AfterFunc(greedy, func() { conn.Close() })()
			_, _, _, _ = gossh.NewClientConn(conn, "", config(gossh.PublicKeys(w.bob)))
		})
	}
	eventually(t, "bob's line is full", func() bool {
		inside, waiting := w.guests.plain.count()
		return inside == 4 && waiting == 16
	})
	for _, signer := range []gossh.Signer{w.alice, carol} {
		if got := w.run(w.dial(signer), "whoami"); got.status != 0 {
			t.Errorf("%+v", got)
		}
	}
	// Bob is told why.
	c := config(gossh.PublicKeys(w.bob))
	var told bytes.Buffer
	c.BannerCallback = func(text string) error { told.WriteString(text); return nil }
	if _, err := gossh.Dial("tcp", w.addr(), c); err == nil || told.String() != " !     your key has too many connections at once; try again in a moment\n" {
		t.Errorf("the one too many: %v, told %q", err, &told)
	}

	// Strangers take all that an address may have. An admin at the same one waits until one of them leaves.
	var strangers []net.Conn
	for range 4 {
		strangers = append(strangers, w.dialRaw())
	}
	eventually(t, "the strangers have all places", func() bool {
		inside, _ := w.guests.strangers.count()
		return inside == 4
	})
	admin := make(chan error, 1)
	go func() {
		client, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(w.alice)))
		if err == nil {
			client.Close()
		}
		admin <- err
	}()
	eventually(t, "the admin waits", func() bool {
		_, waiting := w.guests.strangers.count()
		return waiting == 1
	})
	for range 20 {
		if got := w.run(before, "whoami"); got.status != 0 {
			t.Errorf("who is in: %+v", got)
		}
	}
	strangers[0].Close()
	if err := <-admin; err != nil {
		t.Error(err)
	}
}

// Those who wait go when they do not want to wait any longer.
func TestWaitingClientLeaves(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.MaxConns = 1
		s.HandshakeTimeout, s.QueueTimeout = time.Minute, time.Minute
	})
	first := w.dial(w.bob)
	conn := w.dialRaw()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _, _ = gossh.NewClientConn(conn, "", config(gossh.PublicKeys(w.bob)))
	}()
	waiting := func(want int) func() bool {
		return func() bool { _, n := w.guests.plain.count(); return n == want }
	}
	eventually(t, "the second waits", waiting(1))
	conn.Close()
	<-done
	eventually(t, "nobody waits", waiting(0))
	// The next in line gets the place of the first.
	second := make(chan error, 1)
	go func() {
		client, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(w.bob)))
		if err == nil {
			client.Close()
		}
		second <- err
	}()
	eventually(t, "the third waits", waiting(1))
	first.Close()
	if err := <-second; err != nil {
		t.Error(err)
	}
	eventually(t, "all places are free", w.guests.empty)
}

// Fifty pushes and two hundred commands at once, of one plain key at one address, all succeed. Git,
// ssh and receive-pack are the real ones.
func TestRushOfOneAddress(t *testing.T) {
	dir := t.TempDir()
	w := serve(t, func(s *Server) {
		s.HandshakeTimeout, s.QueueTimeout = time.Minute, 5*time.Minute // the machine may be busy
		s.Git = gitFunc(func(ctx context.Context, _ Identity, service, app, protocol string, stdin io.Reader, stdout, stderr io.Writer) int {
			cmd := exec.CommandContext(ctx, "git", strings.TrimPrefix(service, "git-"), filepath.Join(dir, app))
			cmd.Stdout, cmd.Stderr = stdout, stderr
			in, err := cmd.StdinPipe()
			if err != nil || cmd.Start() != nil {
				return 1
			}
			go func() {
				_, _ = io.Copy(in, stdin)
				in.Close()
			}()
			if err := cmd.Wait(); err != nil {
				return 1
			}
			return 0
		})
	})
	file, public := identityFile(t)
	w.keys.add("ci", public)
	ssh := w.sshOptions([]string{file})
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) *exec.Cmd {
		cmd := exec.Command("git", append([]string{"-C", tree, "-c", "user.name=a", "-c", "user.email=a@b",
			"-c", "core.sshCommand=ssh " + strings.Join(ssh, " ")}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "SSH_AUTH_SOCK=")
		return cmd
	}
	must := func(cmd *exec.Cmd) {
		t.Helper()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
		}
	}
	must(git("init", "-q", "-b", "main"))
	must(git("commit", "-q", "--allow-empty", "-m", "one"))
	const pushes, commands = 50, 200
	for i := range pushes {
		must(git("init", "-q", "--bare", filepath.Join(dir, fmt.Sprint("app", i))))
	}
	var rush sync.WaitGroup
	try := func(cmd *exec.Cmd) {
		rush.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%q: %v\n%s", cmd.Args[len(cmd.Args)-2:], err, out)
			}
		})
	}
	for i := range pushes {
		try(git("push", "-q", fmt.Sprintf("ssh://paas@%s/app%d", w.addr(), i), "main"))
	}
	for range commands {
		try(exec.Command("ssh", append(ssh, "-p", w.port(), "paas@127.0.0.1", "apps:list")...))
	}
	rush.Wait()
}

// A stop sends home those who wait, for a place as a stranger or for one of their key's.
func TestStopWithWaiting(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.MaxConns = 1
		s.HandshakeTimeout, s.QueueTimeout = time.Minute, time.Minute
	})
	w.dial(w.bob)
	conn := w.dialRaw()
	go func() { _, _, _, _ = gossh.NewClientConn(conn, "", config(gossh.PublicKeys(w.bob))) }()
	eventually(t, "one waits with its key", func() bool { _, n := w.guests.plain.count(); return n == 1 })
	first, second := w.dialRaw(), w.dialRaw()
	eventually(t, "one waits as a stranger", func() bool { _, n := w.guests.strangers.count(); return n == 1 })
	if err := w.stopped(); err != nil {
		t.Error(err)
	}
	closed(t, first, patience)
	closed(t, second, patience)
	if !w.guests.empty() {
		t.Error("somebody is left")
	}
	if strings.Contains(w.log.String(), "refused") {
		t.Errorf("it takes a stop for too many connections:\n%s", w.log)
	}
}
