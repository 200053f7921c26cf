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

	"paas/rig"
	"paas/rig/sshkey"
)

// empty reports whether all slots and queues are empty.
func (cs *clientConns) empty() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	used := 0
	for _, count := range []func() (int, int){cs.unauthenticated.Count, cs.users.Count, cs.admins.Count} {
		inUse, waiting := count()
		used += inUse + waiting
	}
	return len(cs.all) == 0 && used == 0
}

type fakeConn struct {
	net.Conn
	addr net.Addr
}

func (c fakeConn) RemoteAddr() net.Addr { return c.addr }
func (c fakeConn) Close() error         { return nil }

// Unauthenticated connections of one address, and all together, get only part of the slots. The
// others wait until one leaves, authenticates or times out.
func TestUnauthenticatedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cs clientConns
		cs.setLimits(64) // 32 unauthenticated, 8 per address
		const queue, handshake = 30 * time.Second, 15 * time.Second
		errs := make(chan error, 300)
		admit := func(ip string) {
			go func() {
				_, err := cs.admit(fakeConn{addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}},
					queue, handshake, time.Hour)
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
		let(8) // a /64 is one address
		admit("2001:db8:0:1::1")
		let(1)
		for i := range 25 {
			admit(fmt.Sprintf("192.0.2.%d", i))
		}
		let(23)
		// Authenticated connections free their slots.
		cs.mu.Lock()
		known := 0
		for g := range cs.all {
			if g.release == nil || !strings.HasPrefix(addrPrefix(g.RemoteAddr()).String(),
				"192.0.2.") {
				continue
			}
			go cs.authenticate(g, Identity{Fingerprint: "SHA256:bob"}, queue)
			if known++; known == 2 {
				break
			}
		}
		cs.mu.Unlock()
		let(2) // not the two of the /64 at its limit
		time.Sleep(handshake + time.Second)
		let(2)
		time.Sleep(handshake + time.Second)
		if inside, waiting := cs.unauthenticated.Count(); inside != 0 || waiting != 0 {
			t.Errorf("%d unauthenticated connections outlive the handshake timeout, %d wait",
				inside, waiting)
		}
		cs.closeAll()
		if !cs.empty() {
			t.Error("connections are left")
		}
		admit("198.51.100.2")
		synctest.Wait()
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A user's key with all its connections, and silent clients at the same address, lock out neither
// an admin nor another key, and do not disturb existing connections.
func TestLimitsAreSeparate(t *testing.T) {
	w := serve(t, func(s *Server) {
		// half for one key, four unauthenticated per address
		s.MaxConns = 8
		s.HandshakeTimeout, s.QueueTimeout = time.Minute, time.Minute // the machine may be busy
	})
	carol := sshkey.New(t)
	w.keys.add("carol", carol.PublicKey())
	before := w.dial(w.alice)

	// Bob has all his slots, and his queue is full.
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
	rig.Eventually(t, "bob's line is full", func() bool {
		inside, waiting := w.conns.users.Count()
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
	const want = " !     your key has too many connections at once; try again in a moment\n"
	if _, err := gossh.Dial("tcp", w.addr(), c); err == nil || told.String() != want {
		t.Errorf("connection beyond the limit: %v, %q", err, &told)
	}

	// Unauthenticated clients use all slots of an address. An admin there waits until one leaves.
	var silent []net.Conn
	for range 4 {
		silent = append(silent, w.dialRaw())
	}
	rig.Eventually(t, "all slots of the address are used", func() bool {
		inside, _ := w.conns.unauthenticated.Count()
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
	rig.Eventually(t, "the admin waits", func() bool {
		_, waiting := w.conns.unauthenticated.Count()
		return waiting == 1
	})
	for range 20 {
		if got := w.run(before, "whoami"); got.status != 0 {
			t.Errorf("who is in: %+v", got)
		}
	}
	silent[0].Close()
	if err := <-admin; err != nil {
		t.Error(err)
	}
}

// Waiting connections can leave.
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
		return func() bool { _, n := w.conns.users.Count(); return n == want }
	}
	rig.Eventually(t, "the second waits", waiting(1))
	conn.Close()
	<-done
	rig.Eventually(t, "nobody waits", waiting(0))
	// The next in the queue gets the slot of the first.
	second := make(chan error, 1)
	go func() {
		client, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(w.bob)))
		if err == nil {
			client.Close()
		}
		second <- err
	}()
	rig.Eventually(t, "the third waits", waiting(1))
	first.Close()
	if err := <-second; err != nil {
		t.Error(err)
	}
	rig.Eventually(t, "all places are free", w.conns.empty)
}

// Fifty pushes and two hundred commands at once, with one user's key from one address, all succeed.
// They use the real git, ssh and receive-pack.
func TestBurstFromOneAddress(t *testing.T) {
	dir := t.TempDir()
	w := serve(t, func(s *Server) {
		s.HandshakeTimeout, s.QueueTimeout = time.Minute, 5*time.Minute // the machine may be busy
		s.Git = gitFunc(func(ctx context.Context, _ Identity, service, app, protocol string,
			stdin io.Reader, stdout, stderr io.Writer) int {
			return runGit(ctx, service, filepath.Join(dir, app), protocol, stdin, stdout, stderr)
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
		cmd := exec.Command("git",
			append([]string{"-C", tree, "-c", "user.name=a", "-c", "user.email=a@b",
				"-c", "core.sshCommand=ssh " + strings.Join(ssh, " ")}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
			"SSH_AUTH_SOCK=")
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

// A stop disconnects waiting connections, whichever slot they wait for.
func TestStopWithWaiting(t *testing.T) {
	w := serve(t, func(s *Server) {
		s.MaxConns = 1
		s.HandshakeTimeout, s.QueueTimeout = time.Minute, time.Minute
	})
	w.dial(w.bob)
	conn := w.dialRaw()
	go func() { _, _, _, _ = gossh.NewClientConn(conn, "", config(gossh.PublicKeys(w.bob))) }()
	rig.Eventually(t, "one waits with its key",
		func() bool { _, n := w.conns.users.Count(); return n == 1 })
	first, second := w.dialRaw(), w.dialRaw()
	rig.Eventually(t, "an unauthenticated connection waits",
		func() bool { _, n := w.conns.unauthenticated.Count(); return n == 1 })
	if err := w.stopped(); err != nil {
		t.Error(err)
	}
	closed(t, first, patience)
	closed(t, second, patience)
	if !w.conns.empty() {
		t.Error("connections are left")
	}
	if strings.Contains(w.log.String(), "refused") {
		t.Errorf("it takes a stop for too many connections:\n%s", w.log)
	}
}
