package receiver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"paas/git"
	"paas/rig"
	"paas/volume"
)

func TestPush(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	one := c.git("rev-parse", "HEAD")
	out := c.git("push", "paas", "main")
	contains(
		t, out, `remote: -----> blog: 1 file, 6 bytes at `+git.Short(one)+` "one"`,
		"remote: -----> Building v1", "remote:        compiled",
		"remote: -----> blog v1 is live: http://blog.test",
	)
	var last string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "remote: ") && strings.TrimSpace(line) != "remote:" {
			last = line
		}
	}
	contains(t, last, "blog v1 is live")
	if ref := s.ref("blog", "refs/heads/main"); ref != one {
		t.Errorf("main is %s, want %s", ref, one)
	}
	app := s.app("blog")
	release, err := app.Release(1)
	if err != nil || release.Commit != one || release.By != "alice" ||
		release.Cause != volume.CausePush ||
		release.Branch != "main" {
		t.Errorf("release %+v, %v", release, err)
	}
	build, err := app.Build(release.Build)
	if err != nil || build.Files != 1 || build.Bytes != 6 || build.Subject != "one" {
		t.Errorf("build %+v, %v", build, err)
	}
	entries, _ := os.ReadDir(filepath.Dir(app.BuildTree(release.Build)))
	if len(entries) != 3 { // tree, build.json, built.json
		t.Errorf("in the build: %v", entries)
	}

	// Again: the old build stays, and there is a new one.
	two := c.commit("two", "bin/run", "#!/bin/sh\n", "fate", "worker")
	contains(t, c.git("push", "paas", "main"), "3 files", "blog v2 is live   ")
	if ref := s.ref("blog", "refs/heads/main"); ref != two {
		t.Errorf("main is %s, want %s", ref, two)
	}
	rig.Eventually(t, "both pushes are in the audit", func() bool {
		events, _ := os.ReadFile(filepath.Join(s.Volume.Root, "events", "git.jsonl"))
		return strings.Contains(string(events), "v1 "+git.Short(one)+" live") &&
			strings.Contains(string(events), "v2 "+git.Short(two)+" live")
	})
	left(t, s, "blog")
}

// left checks that pushes that are over have left nothing but what they made.
func left(t *testing.T, s *server, app string) {
	t.Helper()
	rig.Eventually(t, "the turn is free", func() bool { return !s.app(app).TurnHeld() })
	// What a killed server started ends soon after it, and until then it counts as in use.
	var entries []string
	rig.Eventually(t, "nothing is left behind", func() bool {
		if err := s.Volume.Wipe(); err != nil {
			t.Error(err)
		}
		entries, _ = filepath.Glob(filepath.Join(s.Volume.Root, "tmp", "*", "*"))
		objects, _ := filepath.Glob(filepath.Join(s.app(app).Repo(), "objects", "tmp_objdir-*", "*"))
		entries = append(entries, objects...)
		return len(entries) == 0
	})
}

func TestFailedBuild(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.commit("broken", "fate", "fail build: npm ci: exit status 1")
	c.refused(
		"paas main", " !     blog v1: build: npm ci: exit status 1", " !     look at line 3",
		"Nothing is live yet",
	)
	c.commit("fixed", "fate", "")
	c.git("push", "paas", "main")
	live := s.ref("blog", "refs/heads/main")
	c.commit("broken again", "fate", "fail boot: nothing listens on $PORT")
	out := c.refused(
		"paas main", "blog v3: boot: nothing listens",
		"v2 keeps serving. Fix it, commit, and push again.",
	)
	if strings.Index(out, "Building v3") > strings.Index(out, "blog v3: boot") {
		t.Errorf("the log comes after the verdict:\n%s", out)
	}
	if ref := s.ref("blog", "refs/heads/main"); ref != live {
		t.Errorf("main is %s, want %s", ref, live)
	}
	left(t, s, "blog")
	events, _ := os.ReadFile(filepath.Join(s.Volume.Root, "events", "git.jsonl"))
	contains(t, string(events), "failed: boot: nothing listens on $PORT")
}

func TestRefusedByName(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	c.git("tag", "v1")
	c.git("tag", "-a", "-m", "annotated", "signed")
	c.git("branch", "feature")
	c.git("notes", "add", "-m", "note")
	c.commit("two", "a", "b")
	for push, words := range map[string][]string{
		"paas feature":         {"feature does not deploy here; main does. To deploy it: git push paas feature:main"},
		"paas main feature":    {"feature does not deploy here", "main is not deployed either", "git push paas main"},
		"paas v1":              {"the tag v1 is not stored here; only main is. To deploy: git push --no-follow-tags paas main"},
		"paas main --tags":     {"the tag v1 is not stored", "the tag signed is not stored", "main is not deployed either"},
		"paas refs/notes/*":    {"refs/notes/commits is not stored here"},
		"paas main:refs/stash": {"refs/stash is not stored here"},
		"paas :main":           {"main cannot be deleted: it is what runs; destroy-app blog"},
		"paas signed:main":     {"main can only be a commit, and this is not a commit but a tag"},
		"paas main:refs/paas/x": {
			"remote rejected"},
	} {
		out := c.refused(push, words...)
		if strings.Contains(out, "unknown") {
			t.Errorf("git push %s: %s", push, out)
		}
	}
	if n := s.app("blog").Numbers(); len(n) != 1 {
		t.Errorf("releases %v, want only the first", n)
	}
	if out := c.git("ls-remote", "paas"); strings.Contains(out, "feature") ||
		strings.Contains(out, "tags") {
		t.Errorf("stored all the same:\n%s", out)
	}
	contains(
		t, c.git("push", "-o", "ci.skip", "paas", "main"),
		`the push option "ci.skip" is not known here`, "v2 is live",
	)
}

func TestMaster(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.git("branch", "-m", "master")
	contains(t, c.git("push", "paas", "master"), "v1 is live")
	c.refused("paas master:main", "main does not deploy here; master does")
	rig.Eventually(t, "HEAD follows", func() bool {
		head, _ := s.repo(s.app("blog")).Head()
		return head == "master"
	})
	other := t.TempDir()
	c.git("clone", "-q", "ssh://alice@host/blog", other)
	if _, err := os.Stat(filepath.Join(other, "hello")); err != nil {
		t.Error(err)
	}
}

func TestBranchSetting(t *testing.T) {
	s := newServer(t)
	app, err := s.Volume.Create("blog") // as apps:create does: no repository yet
	if err != nil {
		t.Fatal(err)
	}
	done, err := app.Turn(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.SetSettings(volume.Settings{Branch: "prod"}); err != nil {
		t.Fatal(err)
	}
	done()
	c := s.newClone("blog")
	c.refused(
		"paas main", "main does not deploy here; prod does. To deploy it: git push paas main:prod",
	)
	contains(t, c.git("push", "paas", "main:prod"), "v1 is live")
}

func TestForcePush(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.commit("two", "a", "a")
	two := c.commit("three", "a", "b")
	c.git("push", "paas", "main")
	c.git("reset", "-q", "--hard", "HEAD~2")
	other := c.commit("another", "a", "c")
	if out, err := c.try("push", "paas", "main"); err == nil {
		t.Errorf("git itself lets it through: %s", out)
	}
	contains(
		t,
		c.git("push", "-f", "paas", "main"),
		fmt.Sprintf(
			"main moves from %s to %s: 2 commits are no longer on it", git.Short(two),
			git.Short(other),
		),
		"v2 is live",
	)
}

// A push that drops commits goes through even if they cannot be counted: that is only for a
// warning.
func TestForcePushOverDamagedHistory(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	lost := c.git("rev-parse", "HEAD")
	c.commit("two", "hello", "two\n")
	c.git("push", "paas", "main")
	object := filepath.Join(s.app("blog").Repo(), "objects", lost[:2], lost[2:])
	if err := os.Remove(object); err != nil {
		t.Fatal(err)
	}
	c.git("checkout", "-q", "--orphan", "again")
	again := c.commit("again", "hello", "again\n")
	contains(t, c.git("push", "-f", "paas", "again:main"), "blog v2 is live")
	if ref := s.ref("blog", "refs/heads/main"); ref != again {
		t.Errorf("main is %s, want %s", ref, again)
	}
}

func TestRefusedCommits(t *testing.T) {
	s := newServer(t, func(r *Receiver) { r.MaxFiles, r.MaxTree = 50, 1<<20 })
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat(
		"ab",
		32,
	) + "\nsize 12345\n"
	for name, test := range map[string]struct {
		make  func(c *clone)
		words []string
	}{
		"lfs": {func(c *clone) { c.commit("x", "img/logo.png", pointer) }, []string{"img/logo.png is a Git LFS pointer", "git lfs migrate"}},
		"submodule": {func(c *clone) {
			c.git("update-index", "--add", "--cacheinfo", "160000,"+c.git("rev-parse", "HEAD")+",vendor/lib")
			c.commit("x")
		}, []string{"vendor/lib is a submodule, and .gitmodules has no URL for it", "commit the files themselves"}},
		"absolute":  {func(c *clone) { c.link("etc", "/etc") }, []string{"the symbolic link etc leads out of the repository", "commit a copy"}},
		"climbing":  {func(c *clone) { c.link("a/b/up", "../../../x") }, []string{"the symbolic link a/b/up leads out"}},
		"by a link": {func(c *clone) { c.link("d/a", "../."); c.link("d/b", "a/../../x") }, []string{"the symbolic link d/b leads out"}},
		"empty":     {func(c *clone) { c.git("rm", "-q", "hello"); c.commit("x") }, []string{"the commit has no files"}},
		"files": {func(c *clone) {
			var files []string
			for i := range 60 {
				files = append(files, fmt.Sprint("f", i), fmt.Sprint(i))
			}
			c.commit("x", files...)
		}, []string{"more than 50 files and folders"}},
		"bytes": {func(c *clone) { c.commit("x", "big", strings.Repeat("0", 2<<20)) }, []string{"the files of the commit are larger than 1 MiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := strings.ReplaceAll(name, " ", "-")
			c := newClone(t, s.socket, "alice", app)
			test.make(c)
			c.refused("paas main", test.words...)
			if _, err := s.Volume.App(app); err == nil {
				t.Error("the app that got nothing is still there")
			}
		})
	}
	t.Run("allowed", func(t *testing.T) {
		c := newClone(t, s.socket, "alice", "allowed")
		c.link("a/b/up", "../../hello")
		c.commit("x", "Name", "1", "name", "2", "control\x01", "3")
		contains(t, c.git("push", "paas", "main"), "5 files", "v1 is live")
	})
}

func (c *clone) link(name, target string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.Symlink(target, path); err != nil {
		c.t.Fatal(err)
	}
	c.git("add", name)
	c.commit("link")
}

func TestControlCharacters(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.commit("evil \x1b]0;title\x07 \u202e subject")
	out := c.git("push", "paas", "main")
	if strings.ContainsAny(out, "\x1b\x07\u202e") {
		t.Errorf("%q", out)
	}
	contains(t, out, `"evil ?]0;title? ? subject"`)
}

// Trees that git itself would not make must not get as far as a checkout.
func TestHostileTrees(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	blob := c.object("blob", "evil\n")
	sub := c.object("tree", entry("100644", "config", blob))
	out := c.object("blob", "/tmp")
	for name, tree := range map[string]string{
		"dot dot":          entry("40000", "..", sub),
		"dot":              entry("40000", ".", sub),
		"dot git":          entry("40000", ".git", sub),
		"git tilde 1":      entry("40000", "GIT~1", sub),
		"slash":            entry("100644", "a/b", blob),
		"link and folder":  entry("120000", "a", out) + entry("40000", "a", sub),
		"twice":            entry("100644", "a", blob) + entry("100644", "a", blob),
		"linked modules":   entry("120000", ".gitmodules", out),
		"no name":          entry("100644", "", blob),
		"null object":      entry("100644", "a", git.Zero),
		"strange mode":     entry("160755", "a", blob),
		"blob as a folder": entry("40000", "a", blob),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := c.pushTree(c.object("tree", tree))
			if err == nil {
				t.Fatalf("accepted:\n%s", out)
			}
		})
	}
	if _, err := s.Volume.App("blog"); err == nil {
		t.Error("an app came of it")
	}
}

func TestBomb(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	tree := c.object("tree", entry("100644", "f", c.object("blob", "x")))
	for range 14 {
		var b strings.Builder
		for i := range 10 {
			b.WriteString(entry("40000", fmt.Sprint("d", i), tree))
		}
		tree = c.object("tree", b.String())
	}
	out, err := c.pushTree(tree)
	if err == nil {
		t.Error("accepted")
	}
	contains(t, out, "more than 200000 files and folders")
}

func TestTooLarge(t *testing.T) {
	s := newServer(t, func(r *Receiver) { r.MaxPush = 1 << 20 })
	c := s.newClone("blog")
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(i*i>>3 ^ i>>7 ^ i*2654435761>>13)
	}
	c.commit("big", "big", string(noise))
	c.git("config", "core.compression", "0")
	c.refused("paas main", " !     the push is larger than 1 MiB. Nothing changed.")
	if _, err := s.Volume.App("blog"); err == nil {
		t.Error("an app came of it")
	}
}

func TestShallow(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.commit("two", "a", "a")
	shallow := newClone(t, s.socket, "alice", "blog")
	dir := t.TempDir()
	shallow.git("clone", "-q", "--depth=1", "file://"+c.dir, dir)
	shallow.dir = dir
	shallow.git("remote", "add", "paas", "ssh://alice@host/blog")
	shallow.refused("paas main", "this clone is shallow", "git fetch --unshallow")
	c.git("push", "paas", "main") // from here on the server has a commit that the clone lacks
	shallow.commit("three", "b", "b")
	contains(t, shallow.git("push", "paas", "main"), "v2 is live")
}

func TestFetch(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	for _, version := range []string{"0", "1", "2"} {
		dir := t.TempDir()
		c.git("-c", "protocol.version="+version, "clone", "-q", "ssh://alice@host/blog", dir)
		if _, err := os.Stat(filepath.Join(dir, "hello")); err != nil {
			t.Error(err)
		}
	}
	cmd := c.command("-c", "protocol.version=2", "ls-remote", "paas")
	cmd.Env = append(cmd.Env, "GIT_TRACE_PACKET=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(out), "< version 2")

	if out, err := c.try("ls-remote", "ssh://alice@host/blok"); err == nil {
		t.Error("an app that does not exist was fetched")
	} else {
		contains(t, out, ` !     no such app: "blok"; did you mean blog?`)
	}
	if out, err := c.try("push", "ssh://alice@host/Bad_Name", "main"); err == nil {
		t.Error("a name no app can have")
	} else {
		contains(t, out, `"Bad_Name" is not an app name`)
	}
}

// What a power cut can tear in a repository is repaired before git runs, and the branch moves back
// to what is live.
func TestDamagedRepository(t *testing.T) {
	s := newServer(t)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	left(t, s, "blog")
	repo := s.app("blog").Repo()
	for i, damage := range []func() error{
		func() error { return os.Remove(filepath.Join(repo, "HEAD")) },
		func() error { return os.WriteFile(filepath.Join(repo, "HEAD"), nil, 0o644) },
		func() error { return os.WriteFile(filepath.Join(repo, "config"), nil, 0o644) },
		func() error { return os.WriteFile(filepath.Join(repo, "packed-refs"), []byte("torn"), 0o644) },
		func() error { return os.WriteFile(filepath.Join(repo, "refs", "heads", "main"), nil, 0o644) },
		func() error {
			return os.WriteFile(filepath.Join(repo, "refs", "heads", "main"), []byte("torn\n"), 0o644)
		},
		func() error { return os.RemoveAll(filepath.Join(repo, "refs")) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		c.commit("more", "a", fmt.Sprint(i))
		if out, err := c.try("push", "paas", "main"); err != nil {
			t.Fatalf("damage %d: %v\n%s", i, err, out)
		}
		if head := c.git("rev-parse", "HEAD"); s.ref("blog", "refs/heads/main") != head ||
			s.app("blog").Live() != i+2 {
			t.Errorf(
				"damage %d: main is at %s, not %s; v%d is live", i,
				s.ref("blog", "refs/heads/main"), head, s.app("blog").Live(),
			)
		}
	}

	// Without its objects the repository starts again: the client sends all that it has.
	if err := os.RemoveAll(filepath.Join(repo, "objects")); err != nil {
		t.Fatal(err)
	}
	c.commit("last", "a", "last")
	if out, err := c.try("push", "paas", "main"); err != nil {
		t.Fatalf("without objects: %v\n%s", err, out)
	}
}

func TestTenApps(t *testing.T) {
	s := newServer(t)
	var pushes sync.WaitGroup
	for i := range 10 {
		name := fmt.Sprintf("app-%d", i)
		c := s.newClone(name)
		pushes.Go(func() {
			out, err := c.try("push", "paas", "main")
			if err != nil || !strings.Contains(out, name+" v1 is live") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		})
	}
	pushes.Wait()
}

// A hook gets only those variables of the server that it needs.
func TestHookEnvironment(t *testing.T) {
	t.Setenv("PAAS_SECRET", "hunter2")
	s := newServer(t)
	dump := filepath.Join(s.Volume.Root, "hook-env")
	if err := os.WriteFile(dump, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	s.newClone("blog").git("push", "paas", "main")
	env, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(env), "pre-receive", "post-receive", "PAAS_HOOK_TOKEN=", "HOME=/dev/null")
	for _, secret := range []string{"hunter2", "TEST_", "GOCACHE", "HOME=/root"} {
		if strings.Contains(string(env), secret) {
			t.Errorf("the hook sees %s:\n%s", secret, env)
		}
	}
}

// A push that goes through looks at the app's branches and releases once.
func TestLooksOnce(t *testing.T) {
	var looks atomic.Int32
	s := newServer(t, func(r *Receiver) {
		r.breakpoint = func(where string) {
			if where == "look" {
				looks.Add(1)
			}
		}
	})
	c := s.newClone("blog")
	for n := range 2 {
		c.commit("more", "page", strconv.Itoa(n))
		looks.Store(0)
		contains(t, c.git("push", "paas", "main"), "v"+strconv.Itoa(n+1)+" is live")
		if got := looks.Load(); got != 1 {
			t.Errorf("push %d: %d looks", n+1, got)
		}
	}
}

// The listing that a push over HTTP begins with makes no app, and says why an app cannot be pushed to.
func TestListing(t *testing.T) {
	s := newServer(t)
	list := func(app string) (status int, out, errs string) {
		var stdout, stderr strings.Builder
		status = s.Serve(t.Context(), Request{
			Actor: volume.Actor{By: "alice"}, Client: everybody{s.Volume}, Service: receivePack, App: app, Part: Listing,
			Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		})
		return status, stdout.String(), stderr.String()
	}
	status, out, errs := list("blog")
	if status != 1 || out != "" || !strings.Contains(errs, "no such app") {
		t.Errorf("no app: %d %q %q", status, out, errs)
	}
	if apps, err := s.Volume.Apps(); err != nil || len(apps) > 0 {
		t.Errorf("apps %q, %v", apps, err)
	}
	blog, err := s.Volume.Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	status, out, errs = list("blog")
	if status != 0 || !strings.Contains(out, "report-status") || errs != "" {
		t.Errorf("a new app: %d %q %q", status, out, errs)
	}
	if err := blog.SetSource(volume.Source{URL: "https://host.test/blog"}); err != nil {
		t.Fatal(err)
	}
	status, out, errs = list("blog")
	if status != 1 || out != "" || !strings.Contains(errs, "blog follows https://host.test/blog") {
		t.Errorf("an app that follows a repository: %d %q %q", status, out, errs)
	}
}
