package receiver

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"paas/frame"
	"paas/git"
	"paas/rig"
	"paas/volume"
)

// killGroup kills a client and what it started.
func killGroup(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
}

// packRequest is what git push sends for HEAD on top of old.
func (c *clone) packRequest(old string) []byte {
	c.t.Helper()
	cmd := c.command("pack-objects", "--stdout", "--revs", "-q")
	cmd.Stdin = strings.NewReader("HEAD\n")
	pack, err := cmd.Output()
	if err != nil {
		c.t.Fatal(err)
	}
	if old == "" {
		old = git.Zero
	}
	line := fmt.Sprintf(
		"%s %s refs/heads/main\x00report-status side-band-64k", old, c.git("rev-parse", "HEAD"),
	)
	return append(fmt.Appendf(nil, "%04x%s0000", len(line)+4, line), pack...)
}

// A hook that is killed leaves the app as it was, or as git accepted it.
func TestHookKilled(t *testing.T) {
	g := newGate("committed")
	s := newServer(t, g.set)
	dump := filepath.Join(s.Volume.Root, "hook-env")
	if err := os.WriteFile(dump, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	c := s.newClone("blog")
	c.commit("hanging", "fate", "hang")
	cmd := c.command("push", "paas", "main")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "a hook runs and its release is there", func() bool {
		app, err := s.Volume.App("blog")
		return err == nil && len(app.Numbers()) == 1
	})
	killHook(t, dump, preReceive)
	if cmd.Wait() == nil {
		t.Error("the push went through")
	}
	app := s.app("blog")
	rig.Eventually(t, "the release is cancelled", func() bool { return cancelled(app, 1) })
	left(t, s, "blog")
	if ref := s.ref("blog", "refs/heads/main"); ref != "" {
		t.Errorf("main is %s", ref)
	}

	c.commit("fine", "fate", "")
	if cmd = c.command("push", "paas", "main"); cmd.Start() != nil {
		t.Fatal("git push does not start")
	}
	g.wait(t)
	killHook(t, dump, postReceive)
	close(g.open)
	cmd.Wait()
	rig.Eventually(t, "it is live", func() bool { return app.Live() == 2 })
	left(t, s, "blog")
}

// killHook kills the last hook of that name that dumped its environment.
func killHook(t *testing.T, dump, name string) {
	t.Helper()
	content, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	for line := range strings.Lines(string(content)) {
		if number, ok := strings.CutSuffix(strings.TrimSpace(line), " "+name); ok {
			pid, _ = strconv.Atoi(number)
		}
	}
	if pid == 0 {
		t.Fatalf("no %s ran", name)
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

// After kill -9 of the server at any point of a push, the next start finds the old release or the
// new one: the branch points at what is live, and the next push goes through.
func TestServerKilled(t *testing.T) {
	for at, wantNew := range map[string]bool{"verdict": false, "concluded": false, "moved": true, "committed": true} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			first := startServer(t, root)
			c := first.newClone("blog")
			old := c.git("rev-parse", "HEAD")
			c.git("push", "paas", "main")
			left(t, first, "blog")
			first.stop()

			socket, process := child(t, root, at)
			c.socket = socket
			commit := c.commit("two", "a", "b")
			out, _ := c.try("push", "paas", "main") // git itself reports what it did
			process.Wait()
			contains(t, out, "connection ended")

			s := startServer(t, root)
			c.socket = s.socket
			want := old
			if wantNew {
				want = commit
			}
			agree(t, s, want)
			c.commit("three", "a", "c")
			contains(t, c.git("push", "-f", "paas", "main"), "blog v3 is live")
			left(t, s, "blog")
		})
	}
}

// agree waits until what is live and the branch are both want, and nothing is under way.
func agree(t *testing.T, s *server, want string) {
	t.Helper()
	app := s.app("blog")
	var live, ref string
	rig.Eventually(t, "branch and live release are "+want, func() bool {
		release, err := app.Release(app.Live())
		live, ref = release.Commit, s.ref("blog", "refs/heads/main")
		return err == nil && live == want && ref == want
	})
	for _, n := range app.Numbers() {
		rig.Eventually(t, "release is over", func() bool {
			status, err := app.Status(n)
			return err == nil && status.State.Over()
		})
	}
}

func TestServerKilledWhileBuilding(t *testing.T) {
	root := t.TempDir()
	socket, process := child(t, root, "")
	c := newClone(t, socket, "alice", "blog")
	c.commit("hanging", "fate", "hang")
	cmd := c.command("push", "paas", "main")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	vol := &volume.Volume{Root: root}
	rig.Eventually(t, "it builds", func() bool {
		app, err := vol.App("blog")
		if err != nil {
			return false
		}
		status, err := app.Status(1)
		return err == nil && status.State == volume.Building
	})
	process.Process.Kill()
	process.Wait()
	if cmd.Wait() == nil {
		t.Error("the push went through")
	}
	s := startServer(t, root)
	app := s.app("blog")
	if !cancelled(app, 1) {
		t.Error("Prepare has not cancelled the abandoned release")
	}
	if ref := s.ref("blog", "refs/heads/main"); ref != "" || app.Live() != 0 {
		t.Errorf("main is %q, live is %d", ref, app.Live())
	}
	left(t, s, "blog")
}

func TestServerKilledInUpload(t *testing.T) {
	root := t.TempDir()
	socket, process := child(t, root, "")
	c := newClone(t, socket, "alice", "blog")
	request := c.packRequest("")
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	frame.Write(conn, 'c', []byte("alice\x00git-receive-pack\x00blog\x00"))
	frame.Write(conn, 'i', request[:len(request)-30])
	quarantines := filepath.Join(root, "apps", "blog", "repo.git", "objects", "tmp_objdir-*")
	rig.Eventually(t, "the upload has begun", func() bool {
		found, _ := filepath.Glob(quarantines)
		return len(found) == 1
	})
	process.Process.Kill()
	process.Wait()
	// Not only the server but also its git may still write: both must be dead.
	io.Copy(io.Discard, conn)

	s := startServer(t, root)
	if found, _ := filepath.Glob(quarantines); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
	c.socket = s.socket
	contains(t, c.git("push", "paas", "main"), "v1 is live")
}

// Locks of killed git processes would block every later push.
func TestStaleLocks(t *testing.T) {
	root := t.TempDir()
	s := startServer(t, root)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	left(t, s, "blog")
	s.stop()
	repo := s.app("blog").Repo()
	stale := []string{
		"HEAD.lock",
		"packed-refs.lock",
		"refs/heads/main.lock",
		"config.lock",
		"shallow.lock",
		"objects/tmp_objdir-incoming-x/ab/cd",
		"objects/incoming-y/z",
		"objects/pack/tmp_pack_x",
	}
	for _, name := range stale {
		path := filepath.Join(repo, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	s = startServer(t, root)
	for _, name := range stale {
		if _, err := os.Stat(filepath.Join(repo, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	c.socket = s.socket
	c.commit("two", "a", "b")
	contains(t, c.git("push", "paas", "main"), "v2 is live")
}

// A start also removes leftovers of an app that another process, such as a command, is deploying.
func TestStaleLocksOfBusyApp(t *testing.T) {
	root := t.TempDir()
	s := startServer(t, root)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	left(t, s, "blog")
	s.stop()
	lock := filepath.Join(s.app("blog").Repo(), "refs/heads/main.lock")
	if err := os.WriteFile(lock, nil, 0o444); err != nil {
		t.Fatal(err)
	}
	other := volume.Volume{Root: root}
	app, err := other.App("blog")
	if err != nil {
		t.Fatal(err)
	}
	done, err := app.Turn(t.Context(), "a command", nil)
	if err != nil {
		t.Fatal(err)
	}
	s = startServer(t, root)
	done()
	c.socket = s.socket
	c.commit("two", "a", "b")
	contains(t, c.git("push", "paas", "main"), "v2 is live")
}

// A leftover that cannot be removed does not keep the branch from agreeing with what is live.
func TestStartWithStubbornLeftover(t *testing.T) {
	root := t.TempDir()
	s := startServer(t, root)
	c := s.newClone("blog")
	one := c.git("rev-parse", "HEAD")
	c.git("push", "paas", "main")
	two := c.commit("two", "a", "b")
	left(t, s, "blog")
	s.stop()
	repo := s.app("blog").Repo()
	c.git("push", "-q", repo, "main") // as if the server had been killed after git moved the branch
	if ref := s.ref("blog", "refs/heads/main"); ref != two {
		t.Fatalf("main is %s", ref)
	}
	if err := os.MkdirAll(filepath.Join(repo, "objects/pack/tmp_x/y"), 0o755); err != nil {
		t.Fatal(err)
	}
	next := newReceiver(root)
	if err := errors.Join(next.Volume.Open(), next.Prepare()); err != nil {
		t.Fatal(err)
	}
	defer next.hangUp()
	if ref := s.ref("blog", "refs/heads/main"); ref != one {
		t.Errorf("main is %s, want %s", ref, one)
	}
}

// rollBack makes the app's v1 live again, as another release.
func (s *server) rollBack(name string) {
	s.t.Helper()
	app := s.app(name)
	done, err := app.Turn(s.t.Context(), "a rollback", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer done()
	old, err := app.Release(1)
	if err != nil {
		s.t.Fatal(err)
	}
	old.Cause = volume.CauseRollback
	next, err := app.Publish(old)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := app.Commit(next.N); err != nil {
		s.t.Fatal(err)
	}
	rig.Eventually(s.t, "what was rolled back to is live", func() bool { return app.Live() == next.N })
}

// After a rollback the branch follows by itself.
func TestBranchFollowsRollback(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	one := c.git("rev-parse", "HEAD")
	c.git("push", "paas", "main")
	c.commit("two", "a", "b")
	c.git("push", "paas", "main")
	s.rollBack("blog")
	rig.Eventually(
		t, "the branch is where v1 was",
		func() bool { return s.ref("blog", "refs/heads/main") == one },
	)
	c.commit("three", "a", "c")
	contains(t, c.git("push", "paas", "main"), "v4 is live")
}

// A branch that cannot be moved, such as on a full disk, is tried again soon, not only after a
// minute. The reason is logged once.
func TestBranchIsTriedAgain(t *testing.T) {
	var log output
	s := newServer(t, func(r *Receiver) { r.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	c := s.newClone("blog")
	one := c.git("rev-parse", "HEAD")
	c.git("push", "paas", "main")
	two := c.commit("two", "a", "b")
	c.git("push", "paas", "main")
	left(t, s, "blog")
	app := s.app("blog")
	lock := filepath.Join(app.Repo(), "refs/heads/main.lock")
	if err := os.MkdirAll(filepath.Join(lock, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.rollBack("blog")
	rig.Eventually(
		t, "the branch could not be moved",
		func() bool { return strings.Contains(log.String(), "main.lock': File exists") },
	)
	if ref := s.ref("blog", "refs/heads/main"); ref != two {
		t.Errorf("main is %s", ref)
	}
	rig.Eventually(t, "it is tried again", func() bool { return strings.Count(log.String(), "do=turn") > 2 })
	if err := os.RemoveAll(lock); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the branch is moved", func() bool { return s.ref("blog", "refs/heads/main") == one })
	if n := strings.Count(log.String(), "not reconciled"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, &log)
	}
}

// A push to a full disk is refused with the reason, and leaves nothing.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: a full disk; mounting a small one needs root")
	}
	root := t.TempDir()
	if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", root).
		Run(); err != nil {
		t.Skip("NOT TESTED: a full disk; no tmpfs can be mounted here:", err)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", root).Run() })
	s := startServer(t, root)
	t.Cleanup(s.stop)
	self, _ := os.Executable()
	target, err := os.Readlink(filepath.Join(s.hooks.dir, preReceive))
	if target != self ||
		err != nil {
		t.Errorf("without space for a copy of the program, the hook leads to %q, %v", target, err)
	}
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	before := s.ref("blog", "refs/heads/main")
	noise := make([]byte, 4<<20)
	if _, err := io.ReadFull(must(os.Open("/dev/urandom")), noise); err != nil {
		t.Fatal(err)
	}
	c.commit("big", "big", string(noise))
	c.refused("paas main", " !     the server's disk is full: ", "make room on it, then push again")
	left(t, s, "blog")
	app := s.app("blog")
	builds, _ := os.ReadDir(filepath.Join(app.Dir(), "builds"))
	if len(builds) != 1 || len(app.Numbers()) != 1 || s.ref("blog", "refs/heads/main") != before {
		t.Errorf("something is left: builds %v, releases %v", builds, app.Numbers())
	}
	c.git("reset", "-q", "--hard", "HEAD~1")
	c.commit("small", "a", "b")
	contains(t, c.git("push", "paas", "main"), "v2 is live")
}

func must(f *os.File, err error) *os.File {
	if err != nil {
		panic(err)
	}
	return f
}

// The path of the root may be longer than that of a socket.
func TestLongRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, root)
	contains(t, s.newClone("blog").git("push", "paas", "main"), "v1 is live")
	dir := filepath.Dir(s.Receiver.socket)
	s.stop()
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left", dir)
	}
}
