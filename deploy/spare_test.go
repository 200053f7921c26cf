package deploy

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"paas/git"
	"paas/rig"
	"paas/volume"
)

// spareStage is an app whose commits have the same 20 files, of which one differs.
type spareStage struct {
	t       *testing.T
	app     volume.App
	commits []string
	maker   Maker
}

func newSpareStage(t *testing.T, root string) *spareStage {
	t.Helper()
	v := &volume.Volume{Root: root}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	app, err := v.App("blog")
	if err != nil {
		app, err = v.Create("blog")
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &spareStage{t: t, app: app}
	s.maker = Maker{
		App: app, Out: new(bytes.Buffer), Inspector: new(git.Inspector),
		Spares: &Spares{Volume: v, Log: slog.New(slog.DiscardHandler), many: 20},
	}
	if (git.Repo{Dir: app.Repo()}).Check() == nil {
		s.commits = strings.Fields(s.git("", "rev-list", "--reverse", "main"))
		return s
	}
	s.git("", "init", "-q", "--bare", "-b", "main", app.Repo())
	var in strings.Builder
	for _, content := range []string{"one", "two", "three"} {
		in.WriteString("commit refs/heads/main\ncommitter a <a> 0 +0000\ndata 1\nx\n")
		for i := range 20 {
			text := strings.Repeat("file ", 2000)
			if i == 0 {
				text = content
			}
			in.WriteString("M 644 inline d/" + string(rune('a'+i)) + "\ndata <<END\n" + text + "\nEND\n")
		}
	}
	s.git(in.String(), "fast-import", "--quiet")
	s.git("", "repack", "-adq") // go-git keeps loose objects open for a while, and the disk is unmounted
	s.commits = strings.Fields(s.git("", "rev-list", "--reverse", "main"))
	return s
}

func (s *spareStage) git(input string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_DIR="+s.app.Repo())
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return string(out)
}

// live checks a commit out and makes it live, and returns its tree.
func (s *spareStage) live(commit string) string {
	s.t.Helper()
	b := s.checkout(commit)
	r, err := s.app.Publish(volume.Release{Build: b.ID, Commit: commit})
	if err == nil {
		err = s.app.SetLive(r.N)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.app.BuildTree(b.ID)
}

func (s *spareStage) checkout(commit string) volume.Build {
	s.t.Helper()
	objects := git.Repo{Dir: s.app.Repo()}.Objects()
	defer objects.Close()
	b, err := s.maker.checkout(s.t.Context(), volume.Build{Commit: commit, Files: 20}, objects)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *spareStage) makeSpare() {
	s.t.Helper()
	if err := s.maker.Spares.make(s.t.Context(), s.app); err != nil {
		s.t.Fatal(err)
	}
}

// files returns the content of the files of a tree, by path.
func (s *spareStage) files(tree string) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(tree, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all[path[len(tree):]] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// want checks that a tree has exactly the files of a commit.
func (s *spareStage) want(tree, commit string) {
	s.t.Helper()
	objects := git.Repo{Dir: s.app.Repo()}.Objects()
	defer objects.Close()
	dir := s.t.TempDir()
	if err := objects.WriteTree(s.t.Context(), commit, dir); err != nil {
		s.t.Fatal(err)
	}
	if got, want := s.files(tree), s.files(dir); !maps.Equal(got, want) {
		s.t.Errorf("%s has %v, want %v", tree, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// onDisks runs a test on the file system of the tests, and on those whose files can share blocks.
func onDisks(t *testing.T, test func(t *testing.T, root string, shares bool)) {
	t.Run("usual", func(t *testing.T) { test(t, t.TempDir(), false) })
	for _, kind := range []string{"xfs", "btrfs"} {
		t.Run(kind, func(t *testing.T) { test(t, rig.Disk(t, kind), true) })
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// A build is made of the spare checkout of the commit before: only the files that differ are
// written. What an app writes into one build reaches no other.
func TestSpare(t *testing.T) {
	onDisks(t, func(t *testing.T, root string, shares bool) {
		s := newSpareStage(t, root)
		for i, commit := range s.commits {
			var same uint64
			if i > 0 {
				same = inode(t, filepath.Join(s.app.Dir(), "spare", s.commits[i-1], "d", "b"))
			}
			tree := s.live(commit)
			s.want(tree, commit)
			if i > 0 && inode(t, tree+"/d/b") != same {
				t.Error("the spare was not used")
			}
			for path := range s.files(tree) { // as an app may
				if err := os.WriteFile(tree+path, []byte("changed"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(tree+"/added", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			s.makeSpare()
			s.want(filepath.Join(s.app.Dir(), "spare", commit), commit)
			if s.app.Keeps(volume.Base) != shares {
				t.Errorf("a checkout to share blocks with: %v", !shares)
			}
		}
	})
}

// The owner of a spare is that of the build's files, so that nobody has to change it later.
func TestSpareOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: files of an app's user; that needs root")
	}
	onDisks(t, func(t *testing.T, root string, _ bool) {
		s := newSpareStage(t, root)
		if err := os.Lchown(s.live(s.commits[0]), 1234, 1235); err != nil {
			t.Fatal(err)
		}
		s.makeSpare()
		tree := s.live(s.commits[1])
		for _, path := range []string{"", "/d", "/d/a", "/d/b"} {
			info, err := os.Lstat(tree + path)
			if err != nil {
				t.Fatal(err)
			}
			if own := info.Sys().(*syscall.Stat_t); own.Uid != 1234 || own.Gid != 1235 {
				t.Errorf("%s belongs to %d, %d", path, own.Uid, own.Gid)
			}
		}
	})
}

// A spare of a commit that the repository does not have is not used.
func TestSpareOfAnotherCommit(t *testing.T) {
	s := newSpareStage(t, t.TempDir())
	dir, err := s.app.Volume().TempDir()
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "tree"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tree", "foreign"), nil, 0o644)
	}
	if err == nil {
		err = s.app.Keep(volume.Spare, strings.Repeat("1", 40), dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.want(s.live(s.commits[0]), s.commits[0])
	if s.app.Keeps(volume.Spare) {
		t.Error("it is still there")
	}
}

// An app that runs as the server's user can put links in the place of a spare. They lead nowhere.
func TestSpareIsALink(t *testing.T) {
	for name, link := range map[string]func(spare, to, commit string) error{
		"itself": func(spare, to, commit string) error {
			return errors.Join(os.Rename(filepath.Join(to, "tree"), filepath.Join(to, commit)), os.Symlink(to, spare))
		},
		"tree": func(spare, to, commit string) error {
			return errors.Join(os.Mkdir(spare, 0o755), os.Symlink(filepath.Join(to, "tree"), filepath.Join(spare, commit)))
		},
		"folder": func(spare, to, commit string) error {
			tree := filepath.Join(spare, commit)
			return errors.Join(os.MkdirAll(tree, 0o755), os.Symlink(filepath.Join(to, "tree", "d"), filepath.Join(tree, "d")))
		},
	} {
		s := newSpareStage(t, t.TempDir())
		outside := t.TempDir()
		if err := os.CopyFS(filepath.Join(outside, "tree"), os.DirFS(s.live(s.commits[0]))); err != nil {
			t.Fatal(err)
		}
		if err := link(filepath.Join(s.app.Dir(), "spare"), outside, s.commits[0]); err != nil {
			t.Fatal(err)
		}
		before := s.files(outside)
		s.want(s.live(s.commits[1]), s.commits[1])
		if after := s.files(outside); !maps.Equal(before, after) {
			t.Errorf("%s: files outside have changed", name)
		}
	}
}

// An app that has few files now, or a full disk, keeps no spare.
func TestNoSpare(t *testing.T) {
	for name, change := range map[string]func(*Spares){
		"few files": func(s *Spares) { s.many = 21 },
		"full disk": func(s *Spares) { s.DiskSpace.MinFree = 1 << 60 },
	} {
		s := newSpareStage(t, t.TempDir())
		s.live(s.commits[0])
		s.makeSpare()
		change(s.maker.Spares)
		s.makeSpare()
		if s.app.Keeps(volume.Spare) {
			t.Errorf("%s: there is one", name)
		}
	}
}

// A deploy that comes while the spare is being made takes it once it is whole. A deploy that fails
// has another one made.
func TestSpareIsAwaited(t *testing.T) {
	s := newSpareStage(t, t.TempDir())
	s.live(s.commits[0])
	half, finish := make(chan struct{}), make(chan struct{})
	s.maker.Spares.breakpoint = func(string) {
		half <- struct{}{}
		<-finish
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.maker.Spares.Run(ctx) }()
	s.maker.Spares.want(s.app)
	<-half
	objects := git.Repo{Dir: s.app.Repo()}.Objects()
	defer objects.Close()
	taken := make(chan error)
	go func() {
		_, err := s.maker.Spares.take(ctx, s.app, s.commits[1], objects)
		taken <- err
	}()
	finish <- struct{}{}
	if err := <-taken; err != nil {
		t.Error(err)
	}
	failed := volume.Release{N: 2}
	if _, err := s.maker.Publish(ctx, volume.Build{Commit: strings.Repeat("1", 40)}, failed, objects); err == nil {
		t.Error("a commit that is missing was published")
	}
	<-half
	finish <- struct{}{}
	rig.Eventually(t, "there is a spare", func() bool { return s.app.Keeps(volume.Spare) })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// kill -9 at any point leaves the builds that were there, and the next build is whole.
func TestSpareKilled(t *testing.T) {
	if root := os.Getenv("SPARE_TEST_ROOT"); root != "" {
		s := newSpareStage(t, root)
		end := func(where string) {
			if where == os.Getenv("SPARE_TEST_AT") {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
		s.maker.breakpoint, s.maker.Spares.breakpoint = end, end
		s.live(s.commits[1])
		s.makeSpare()
		return
	}
	onDisks(t, func(t *testing.T, root string, _ bool) {
		for _, at := range []string{"taken", "written", "base"} {
			root := filepath.Join(root, at)
			s := newSpareStage(t, root)
			first := s.live(s.commits[0])
			s.makeSpare()
			child := exec.Command(os.Args[0], "-test.run=^TestSpareKilled$")
			child.Env = append(os.Environ(), "SPARE_TEST_ROOT="+root, "SPARE_TEST_AT="+at)
			if out, err := child.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("%s: %v %s", at, err, out)
			}
			if err := s.app.Volume().Wipe(); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(root, "tmp", "*", "*", "tree")); len(left) > 0 {
				t.Errorf("%s: left: %v", at, left)
			}
			s.want(first, s.commits[0])
			if builds, err := s.app.Builds(); at != "base" && (len(builds) != 1 || err != nil) {
				t.Errorf("%s: builds %v, %v", at, builds, err)
			}
			s.want(s.live(s.commits[2]), s.commits[2])
		}
	})
}
