package receiver

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/git"
	"paas/rig"
	"paas/volume"
)

// gate stops pushes at a breakpoint until the test opens it.
type gate struct {
	at      string
	reached chan struct{}
	open    chan struct{}
}

func newGate(at string) *gate {
	return &gate{at, make(chan struct{}, 10), make(chan struct{})}
}

func (g *gate) set(r *Receiver) {
	r.breakpoint = func(where string) {
		if where == g.at {
			g.reached <- struct{}{}
			<-g.open
		}
	}
}

func (g *gate) wait(t *testing.T) {
	t.Helper()
	select {
	case <-g.reached:
	case <-time.After(15 * time.Second):
		t.Fatalf("nobody comes to %q", g.at)
	}
}

// output collects what a command in the background prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Two pushes to one app run one after the other. The second finds that the branch has moved before
// it builds anything.
func TestQueue(t *testing.T) {
	g := newGate("verdict")
	s := newServer(t, g.set)
	bob := newClone(t, s.socket, "bob", "blog")
	alice := newClone(t, s.socket, "alice", "blog")
	bob.commit("bob's", "b", "b")
	first := alice.command("push", "paas", "main")
	var out1, out2 output
	first.Stdout, first.Stderr = &out1, &out1
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	g.wait(t)
	second := bob.command("push", "paas", "main")
	second.Stdout, second.Stderr = &out2, &out2
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the second says whom it waits for", func() bool {
		return strings.Contains(out2.String(), "-----> Waiting for alice's push to end")
	})
	close(g.open)
	if err := first.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &out1)
	}
	if second.Wait() == nil {
		t.Error("the second push went through")
	}
	contains(t, out1.String(), "v1 is live")
	contains(
		t,
		out2.String(),
		" !     main has moved to "+git.Short(
			alice.git("rev-parse", "HEAD"),
		)+" while this push waited; git pull, then push again",
	)
	if n := s.app("blog").Numbers(); len(n) != 1 {
		t.Errorf("releases %v: the second was built", n)
	}
}

// A pusher who leaves before the decision has changed nothing, however they leave.
func TestPusherLeaves(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	before := s.ref("blog", "refs/heads/main")
	c.commit("two", "fate", "hang")
	s.abandon(c)
	app := s.app("blog")
	rig.Eventually(t, "the release is cancelled", func() bool {
		status, _ := app.Status(2)
		return cancelled(app, 2) && status.State == volume.Cancelled
	})
	left(t, s, "blog")
	if ref := s.ref("blog", "refs/heads/main"); ref != before {
		t.Errorf("main is %s, want %s", ref, before)
	}
	c.commit("three", "fate", "")
	contains(t, c.git("push", "paas", "main"), "v3 is live")
}

// abandon kills a push, client and transport, once its release is being built.
func (s *server) abandon(c *clone) {
	s.t.Helper()
	cmd := c.command("push", "paas", "main")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	app := s.app("blog")
	rig.Eventually(s.t, "the release is being built", func() bool {
		n := app.Numbers()
		if len(n) == 0 {
			return false
		}
		status, _ := app.Status(n[len(n)-1])
		return status.State == volume.Building
	})
	killGroup(cmd)
}

func TestPusherLeavesAtTheVerdict(t *testing.T) {
	g := newGate("verdict")
	s := newServer(t, g.set)
	c := s.newClone("blog")
	cmd := c.command("push", "paas", "main")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.wait(t)
	killGroup(cmd)
	rig.Eventually(t, "the session knows", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, session := range s.sessions {
			return session.ctx.Err() != nil
		}
		return true
	})
	close(g.open)
	app := s.app("blog")
	rig.Eventually(t, "the release is cancelled", func() bool { return cancelled(app, 1) })
	left(t, s, "blog")
	if ref := s.ref("blog", "refs/heads/main"); ref != "" {
		t.Errorf("main is %s", ref)
	}
}

// The release of a pusher who leaves after the decision goes live.
func TestPusherLeavesAfterTheVerdict(t *testing.T) {
	for _, at := range []string{"concluded", "moved", "committed"} {
		t.Run(at, func(t *testing.T) {
			g := newGate(at)
			s := newServer(t, g.set)
			c := s.newClone("blog")
			cmd := c.command("push", "paas", "main")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			g.wait(t)
			killGroup(cmd)
			close(g.open)
			app := s.app("blog")
			rig.Eventually(t, "it is live", func() bool { return app.Live() == 1 })
			left(t, s, "blog")
			if ref := s.ref("blog", "refs/heads/main"); ref != c.git("rev-parse", "HEAD") {
				t.Errorf("main is %s", ref)
			}
		})
	}
}

// A client that stays but does not read holds the app's turn only for a while.
func TestPusherDoesNotRead(t *testing.T) {
	s := newServer(t, func(r *Receiver) { r.stall = 200 * time.Millisecond })
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	c.commit("two", "a", "b")
	stdin, status := s.rawPush(c, blockedWriter{make(chan struct{})})
	defer stdin.Close()
	select {
	case <-status:
	case <-time.After(15 * time.Second):
		t.Fatal("the session holds on")
	}
	left(t, s, "blog")
	live, err := s.app("blog").Release(s.app("blog").Live())
	if err != nil || s.ref("blog", "refs/heads/main") != live.Commit {
		t.Errorf("main is not what is live, %v", err)
	}
}

type blockedWriter struct{ never chan struct{} }

func (w blockedWriter) Write([]byte) (int, error) {
	<-w.never
	return 0, io.ErrClosedPipe
}

// rawPush serves a push without a client that reads.
func (s *server) rawPush(c *clone, stdout io.Writer) (stdin io.Closer, status chan int) {
	s.t.Helper()
	request := c.packRequest(s.ref("blog", "refs/heads/main"))
	r, w := io.Pipe()
	go w.Write(request)
	status = make(chan int, 1)
	q := Request{Actor: volume.Actor{By: "eve"}, Client: everybody{s.Volume}, Service: receivePack, App: "blog", Stdin: r, Stdout: stdout, Stderr: io.Discard}
	go func() { status <- s.Serve(s.t.Context(), q) }()
	return w, status
}
