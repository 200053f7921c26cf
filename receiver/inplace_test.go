package receiver

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/rig"
	"paas/volume"
)

func inPlace(r *Receiver) { r.Mode = volume.OnlyFiles }

// A push in mode worktree writes only the worktree, and reports what it did.
func TestPushInPlace(t *testing.T) {
	s := newServer(t, inPlace)
	c := s.newClone("blog")
	c.commit("one", "page", "one")
	contains(
		t, c.git("push", "paas", "main"), "blog: 2 files written in worktree/, 0 removed",
		"blog v1 is live, in "+s.app("blog").Worktree(),
	)
	holds(t, s, "page", "one")
	two := c.commit("two", "page", "two")
	contains(
		t, c.git("push", "paas", "main"), "blog: 1 file written in worktree/, 0 removed",
		"blog v2 is live",
	)
	holds(t, s, "page", "two")
	agree(t, s, two)
	if builds, _ := os.ReadDir(filepath.Join(s.app("blog").Dir(), "builds")); len(builds) != 0 {
		t.Errorf("%d builds were made", len(builds))
	}
	left(t, s, "blog")
}

func holds(t *testing.T, s *server, name, want string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.app("blog").Worktree(), name))
	if string(content) != want {
		t.Errorf("%s holds %q, want %q: %v", name, content, want, err)
	}
}

// If the worktree cannot be written, the push is taken back, and the branch points at what is live.
func TestPushInPlaceFails(t *testing.T) {
	s := newServer(t, inPlace)
	c := s.newClone("blog")
	one := c.commit("one", "page", "one")
	c.git("push", "paas", "main")
	state := s.app("blog").WorktreeState()
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	c.commit("two", "page", "two")
	out, err := c.try("push", "paas", "main")
	contains(t, out, "blog v2 is not live: worktree:")
	if err == nil { // git itself has accepted it, and moved the branch
		t.Error("git push says all went well")
	}
	agree(t, s, one)
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	contains(t, c.git("push", "paas", "main"), "blog v3 is live")
	holds(t, s, "page", "two")
	left(t, s, "blog")
}

// After kill -9 at any point of a push in mode worktree, the branch, the live release and the worktree
// are all at the old commit or at the new one.
func TestKilledInPlace(t *testing.T) {
	for at, wantNew := range map[string]bool{"published": false, "concluded": false, "moved": true, "committed": true} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			first := startServer(t, root, inPlace)
			c := first.newClone("blog")
			old := c.commit("one", "page", "one")
			c.git("push", "paas", "main")
			left(t, first, "blog")
			first.stop()

			socket, process := child(t, root, at, "TEST_MODE="+string(volume.OnlyFiles))
			c.socket = socket
			commit := c.commit("two", "page", "two")
			out, _ := c.try("push", "paas", "main")
			process.Wait()
			contains(t, out, "connection ended")

			s := startServer(t, root, inPlace)
			c.socket = s.socket
			want, page := old, "one"
			if wantNew {
				want, page = commit, "two"
			}
			agree(t, s, want)
			holds(t, s, "page", page)
			c.commit("three", "page", "three")
			contains(t, c.git("push", "-f", "paas", "main"), "blog v3 is live")
			holds(t, s, "page", "three")
			left(t, s, "blog")
		})
	}
}

// An app that follows a remote repository can neither be pushed to nor fetched from. Once it
// follows none, a push deploys it again, whatever commit is live.
func TestFollowedApp(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	app := s.app("blog")

	// A push that waited while the source was set is not deployed either.
	turn, err := app.Turn(t.Context(), "source:set", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.commit("waiting", "a", "a")
	waiting := c.command("push", "paas", "main")
	out, err := waiting.StderrPipe()
	if err == nil {
		err = waiting.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	for line := ""; !strings.Contains(line, "Waiting for source:set to end"); {
		if line, err = said.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.SetSource(volume.Source{URL: "https://host.test/blog.git"}); err != nil {
		t.Fatal(err)
	}
	turn()
	rest, _ := io.ReadAll(said)
	if waiting.Wait() == nil ||
		!strings.Contains(string(rest), "blog follows https://host.test/blog.git") {
		t.Errorf("it went through: %s", rest)
	}
	c.commit("two", "a", "b")
	c.refused("paas main", "blog follows https://host.test/blog.git: push there, clone that")
	if out, err := c.try("fetch", "paas"); err == nil {
		t.Errorf("fetched: %s", out)
	}
	done, err := app.Turn(t.Context(), "the sidecar", nil)
	if err != nil {
		t.Fatal(err)
	}
	live, err := app.Release(app.Live())
	if err != nil {
		t.Fatal(err)
	}
	live.Commit, live.Cause = "0123456789abcdef0123456789abcdef01234567", volume.CauseSync
	synced, err := app.Publish(live)
	if err != nil {
		t.Fatal(err)
	}
	app.Commit(synced.N)
	rig.Eventually(t, "the commit from elsewhere is live", func() bool { return app.Live() == synced.N })
	done()
	if err := app.UnsetSource(); err != nil {
		t.Fatal(err)
	}
	contains(t, c.git("push", "paas", "main"), "blog v3 is live")
	left(t, s, "blog")
}
