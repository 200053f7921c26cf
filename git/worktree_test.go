package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// newWorktree returns an empty worktree.
func newWorktree(t testing.TB, dir string) Worktree {
	t.Helper()
	w := Worktree{Dir: filepath.Join(dir, "worktree"), State: filepath.Join(dir, "worktree.json"),
		Temp: filepath.Join(dir, "tmp"), watcherDelay: 1}
	if err := os.Mkdir(w.Temp, 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w Worktree) to(ctx context.Context, r Repo, commit string) (Changes, error) {
	o := r.Objects()
	defer o.Close()
	return w.Update(ctx, o, commit)
}

// mustTo updates w, and checks that it is settled and Temp is empty.
func (w Worktree) mustTo(t testing.TB, r Repo, commit string) Changes {
	t.Helper()
	c, err := w.to(t.Context(), r, commit)
	if err != nil {
		t.Fatal(err)
	}
	w.at(t, commit, true)
	return c
}

func (w Worktree) at(t testing.TB, commit string, settled bool) {
	t.Helper()
	if c, s, err := w.Commit(); c != commit || s != settled || err != nil {
		t.Fatalf("the worktree is at %q, settled %v, %v; want %q, %v", c, s, err, commit, settled)
	}
	if left := readTree(t, w.Temp); len(left) > 0 {
		t.Fatalf("left in Temp: %v", left)
	}
}

func (w Worktree) path(name string) string { return filepath.Join(w.Dir, name) }

func (w Worktree) write(t testing.TB, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.path(name)), 0o755),
		os.WriteFile(w.path(name), []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// files maps paths to contents, each with a prefix: "x" executable, "l" link, "-" plain.
type files map[string]string

// commits creates a commit for each and returns their names.
func commits(t testing.TB, r Repo, all ...files) []string {
	t.Helper()
	var in strings.Builder
	for i, f := range all {
		fmt.Fprintf(&in,
			"commit refs/heads/c%d\nmark :%d\ncommitter A <a@b.c> %d +0000\ndata 0\n\n", i, i+1, i)
		for _, name := range slices.Sorted(maps.Keys(f)) {
			mode := map[byte]string{'x': "100755", 'l': "120000"}[f[name][0]]
			if mode == "" {
				mode = "100644"
			}
			fmt.Fprintf(&in, "M %s inline %s\ndata %d\n%s\n", mode, strconv.Quote(name),
				len(f[name])-1, f[name][1:])
		}
	}
	runGit(t, r, in.String(), "fast-import", "--quiet", "--force", "--export-marks=marks")
	marks, err := os.ReadFile(filepath.Join(r.Dir, "marks"))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(all))
	for line := range strings.Lines(string(marks)) {
		var i int
		var name string
		fmt.Sscanf(line, ":%d %s", &i, &name)
		names[i-1] = name
	}
	return names
}

// fresh returns what git checks out.
func fresh(t testing.TB, r Repo, commit string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	checkout(t, r, commit, dir)
	return readTree(t, dir)
}

func TestUpdate(t *testing.T) {
	r := newRepo(t)
	w := newWorktree(t, t.TempDir())
	if c, s, err := w.Commit(); c != "" || s || err != nil {
		t.Error(c, s, err)
	}
	c := commits(t, r,
		files{"a": "-1", "run": "x1", "lib/b": "-1", "lib/deep/er/c": "-1", "link": "llib/b",
			"kept": "-1"},
		files{"a": "-2", "run": "-1", "lib/b": "-1", "link": "la", "new/d": "x1", "kept": "-1"})
	if got := w.mustTo(t, r, c[0]); got.Written != 6 || got.Removed != 0 || got.Displaced != nil {
		t.Errorf("%+v", got)
	}
	compareTrees(t, "first", readTree(t, w.Dir), fresh(t, r, c[0]))
	before := must(t, os.Stat, w.path("lib/b"))
	w.write(t, "node_modules/x", "mine")
	if got := w.mustTo(t, r, c[1]); got.Written != 4 || got.Removed != 1 || got.Displaced != nil {
		t.Errorf("%+v", got)
	}
	want := fresh(t, r, c[1])
	want["node_modules"], want["node_modules/x"] = "drwxr-xr-x", "-rw-r--r-- mine"
	compareTrees(t, "second", readTree(t, w.Dir), want)
	if after := must(t, os.Stat, w.path("lib/b")); !os.SameFile(before, after) ||
		before.ModTime() != after.ModTime() {
		t.Error("a file that does not differ was touched")
	}
	state := must(t, os.Stat, w.State)
	if got := w.mustTo(t, r, c[1]); got.Written+got.Removed != 0 {
		t.Errorf("%+v", got)
	}
	if !os.SameFile(state, must(t, os.Stat, w.State)) {
		t.Error("the state was written needlessly")
	}
	content := string(must(t, os.ReadFile, w.State))
	if want := `{"state":"settled","commit":"` + c[1] + "\"}\n"; content != want {
		t.Errorf("the state file says %s", content)
	}
}

func must[T any](t testing.TB, f func(string) (T, error), name string) T {
	t.Helper()
	v, err := f(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The previous commit and its objects may no longer be in the repository.
func TestUpdateWithoutPreviousCommit(t *testing.T) {
	one, two := newRepo(t), newRepo(t)
	a := commits(t, one, files{"a": "-1", "old/b": "-1"})[0]
	b := commits(t, two, files{"a": "-2", "c": "-1"})[0]
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, one, a)
	if got := w.mustTo(t, two, b); got.Written != 2 || got.Removed != 1 || got.Displaced != nil {
		t.Errorf("%+v", got)
	}
	compareTrees(t, "new", readTree(t, w.Dir), fresh(t, two, b))
}

// What is new belongs to the owner of the folder: an app may have a user of its own, whose tools
// change files of the commit.
func TestUpdateForOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: takes root, to have a folder of another user's")
	}
	r := newRepo(t)
	c := commits(t, r, files{"a": "-1"}, files{"a": "-2", "new/b": "-1", "l": "la"})
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, r, c[0])
	const uid = 12345
	if err := os.Chown(w.Dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	w.mustTo(t, r, c[1])
	for _, name := range []string{"a", "new", "new/b", "l"} {
		info := must(t, os.Lstat, w.path(name))
		if is := info.Sys().(*syscall.Stat_t); is.Uid != uid || is.Gid != uid {
			t.Errorf("%s belongs to %d:%d", name, is.Uid, is.Gid)
		}
	}
}

// Local changes stay until a commit changes the same file.
func TestLocalChanges(t *testing.T) {
	r := newRepo(t)
	w := newWorktree(t, t.TempDir())
	c := commits(t, r,
		files{"edited": "-1", "removed": "-1", "both": "-1", "dropped": "-1", "grown": "-1",
			"src/a": "-1"},
		files{"edited": "-1", "removed": "-1", "both": "-2", "src/a": "-1", "b": "-1"})
	w.mustTo(t, r, c[0])
	for _, name := range []string{"edited", "both", "dropped"} {
		w.write(t, name, "local")
	}
	for _, name := range []string{"removed", "grown"} {
		if err := os.Remove(w.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.write(t, "grown/x", "mine") // a folder at the path of a file that the next commit lacks
	w.mustTo(t, r, c[1])
	want := fresh(t, r, c[1])
	delete(want, "removed")
	want["edited"] = "-rw-r--r-- local"
	want["grown"], want["grown/x"] = "drwxr-xr-x", "-rw-r--r-- mine"
	compareTrees(t, "local", readTree(t, w.Dir), want)

	if err := os.RemoveAll(w.Dir); err != nil { // remove everything, then update to the same commit
		t.Fatal(err)
	}
	lost := commit(t, r, "lost", tree(t, r, "100644 blob "+strings.Repeat("1", 40)+"\ta"))
	if _, err := w.to(t.Context(), r, lost); err == nil { // the first attempt fails
		t.Error("written without content")
	}
	w.mustTo(t, r, c[1])
	compareTrees(t, "removed", readTree(t, w.Dir), fresh(t, r, c[1]))
}

// What is in the way of the commit is replaced, as with git checkout --force, and reported.
func TestDisplaced(t *testing.T) {
	for name, test := range map[string]struct {
		before, after files
		app           func(w Worktree)
		displaced     []string
	}{
		"file by file": {files{"a": "-1"}, files{"a": "-1", "b": "-1"},
			func(w Worktree) { w.write(t, "b", "mine") }, []string{"b"}},
		"file by folder": {files{"a": "-1"}, files{"a": "-1", "b/c/d": "-1"},
			func(w Worktree) { w.write(t, "b", "mine") }, []string{"b"}},
		"folder by file": {files{"a": "-1"}, files{"a": "-1", "b": "-1"},
			func(w Worktree) { w.write(t, "b/c/d", "mine"); w.write(t, "b/e", "mine") },
			[]string{"b"}},
		"folder by link": {files{"a": "-1"}, files{"a": "-1", "b": "la"},
			func(w Worktree) { w.write(t, "b/c", "mine") }, []string{"b"}},
		"link by folder": {files{"a": "-1"}, files{"a": "-1", "b/c": "-1", "b/d": "-1"},
			func(w Worktree) { os.Mkdir(w.path("real"), 0o755); os.Symlink("real", w.path("b")) },
			[]string{"b"}},
		"our folder a link": {files{"src/a": "-1", "src/b": "-1"},
			files{"src/a": "-2", "src/b": "-1"},
			func(w Worktree) {
				os.Rename(w.path("src"), w.path("real"))
				os.Symlink("real",
					w.path("src"))
			}, []string{"src"}},
		"our file a folder": {files{"a": "-1"}, files{"a": "-2"},
			func(w Worktree) { os.Remove(w.path("a")); w.write(t, "a/b", "mine") }, []string{"a"}},
		"ours alone": {files{"a/b": "-1", "a/c/d": "-1", "e": "-1"},
			files{"a": "-1", "e/f": "-1"}, func(Worktree) {}, nil},
		"ours and theirs": {files{"a/b": "-1", "a/c/d": "-1"}, files{"a": "-1"},
			func(w Worktree) { w.write(t, "a/c/x", "mine") }, []string{"a"}},
		"a pipe is no surprise": {files{"a": "-1"}, files{"a": "-2"},
			func(w Worktree) { os.Remove(w.path("a")); syscall.Mkfifo(w.path("a"), 0o644) }, nil},
		"gone behind a link": {files{"src/a": "-1", "b": "-1"}, files{"b": "-1"},
			func(w Worktree) {
				os.Rename(w.path("src"), w.path("real"))
				os.Symlink("real",
					w.path("src"))
			}, nil},
		"gone, and they have it": {files{"a/b": "-1", "c": "-1"}, files{"c": "-1"},
			func(w Worktree) { w.write(t, "a/x", "mine") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := commits(t, r, test.before, test.after)
			w := newWorktree(t, t.TempDir())
			w.mustTo(t, r, c[0])
			test.app(w)

			// The same with git: a copy with an index of the first commit.
			copied := filepath.Join(t.TempDir(), "copy")
			if out, err := exec.Command("cp", "-a", w.Dir, copied).CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
			index := "GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "index")
			for _, args := range [][]string{{"read-tree", c[0]},
				{"update-index", "-q", "--refresh"}, {"read-tree", "--reset", "-u", c[1]}} {
				cmd := exec.Command("git",
					append([]string{"--git-dir=" + r.Dir, "--work-tree=" + copied}, args...)...)
				cmd.Dir, cmd.Env = copied, append(os.Environ(), index)
				if out, err := cmd.CombinedOutput(); err != nil && args[0] != "update-index" {
					t.Fatal(args, err, string(out))
				}
			}
			got := w.mustTo(t, r, c[1])
			if !slices.Equal(got.Displaced, test.displaced) {
				t.Errorf("displaced: %q, want %q", got.Displaced, test.displaced)
			}
			compareTrees(t, "as git", readTree(t, w.Dir), readTree(t, copied))
		})
	}
}

// history generates random commits and local changes.
type history struct {
	*rand.Rand
	now files
}

func (h *history) name() string {
	parts := make([]string, 1+h.IntN(3))
	for i := range parts {
		parts[i] = string("abcd"[h.IntN(4)])
	}
	return path.Join(parts...)
}

// next changes some files: their content, type or path.
func (h *history) next() files {
	h.now = maps.Clone(h.now)
	for range 1 + h.IntN(6) {
		name := h.name()
		if h.IntN(3) == 0 {
			maps.DeleteFunc(h.now,
				func(n, _ string) bool { return n == name || strings.HasPrefix(n, name+"/") })
			continue
		}
		maps.DeleteFunc(h.now, func(n, _ string) bool {
			return strings.HasPrefix(n, name+"/") ||
				strings.HasPrefix(name, n+"/")
		})
		h.now[name] = string("-xl"[h.IntN(3)]) + strconv.Itoa(h.IntN(5))
	}
	if len(h.now) == 0 {
		h.now["a"] = "-1"
	}
	return h.now
}

// endingContext ends when Err has been called n times, which interrupts work at each of its steps
// in turn.
type endingContext struct {
	context.Context
	mu   sync.Mutex
	left int
	then func()
}

func (e *endingContext) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left--; e.left < 0 {
		e.then()
		return context.Canceled
	}
	return nil
}

// Whatever the commits are and wherever updates are interrupted, the folder ends up with what git
// checks out and what the app made.
func TestRandomUpdates(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		h := &history{rand.New(rand.NewPCG(seed, 3)), files{}}
		all := make([]files, 30)
		for i := range all {
			all[i] = h.next()
		}
		r := newRepo(t)
		c := commits(t, r, all...)
		w := newWorktree(t, t.TempDir())
		made := map[string]string{}
		for i := range c {
			cut := h.IntN(3) == 0
			if cut {
				ctx := &endingContext{Context: t.Context(), left: h.IntN(12), then: func() {}}
				if _, err := w.to(ctx, r, c[h.IntN(len(c))]); err != nil &&
					!errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			c := c[i]
			w.mustTo(t, r, c)
			want := fresh(t, r, c)
			for name := range made { // drop what was displaced
				for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
					if what, ok := want[dir]; ok && what[0] != 'd' {
						delete(made, name)
					}
				}
			}
			for name, content := range made {
				want[name] = "-rw-r--r-- " + content
				for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
					want[dir] = "drwxr-xr-x"
				}
			}
			if cut { // the interrupted commit may have displaced some
				for name := range made {
					if _, err := os.Lstat(w.path(name)); err != nil {
						delete(made, name)
						delete(want, name)
						for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
							if _, err := os.Lstat(w.path(dir)); err != nil {
								delete(want, dir)
							}
						}
					}
				}
			}
			compareTrees(t, fmt.Sprintf("seed %d, commit %d", seed, i), readTree(t, w.Dir), want)
			if t.Failed() {
				return
			}
			for dir, what := range want {
				if what[0] == 'd' && h.IntN(4) == 0 {
					name := dir + "/app" + strconv.Itoa(i)
					made[name] = strconv.Itoa(i)
					w.write(t, name, made[name])
				}
			}
		}
	}
}

// scenario has every kind of change, to be interrupted.
var scenario = []files{
	{"a": "-1", "b": "-1", "c/d": "-1", "c/e/f": "x1", "g": "-1", "l": "la", "gone/x": "-1"},
	{"a": "-2", "b/h": "-1", "c": "-1", "g": "x1", "l": "lg", "new": "-1", "new2/y": "-1"},
	{"a": "-3", "c/e": "-1", "z": "-1"},
}

// After an update was killed at any step, the next one to any commit repairs everything.
func TestKilled(t *testing.T) {
	if at := os.Getenv("GIT_TEST_KILL"); at != "" {
		left, _ := strconv.Atoi(at)
		ctx := &endingContext{Context: t.Context(), left: left,
			then: func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) }}
		w := Worktree{Dir: os.Getenv("GIT_TEST_DIR"), State: os.Getenv("GIT_TEST_STATE"),
			Temp: os.Getenv("GIT_TEST_TEMP"), watcherDelay: 1}
		w.to(ctx, Repo{Dir: os.Getenv("GIT_TEST_REPO")}, os.Getenv("GIT_TEST_COMMIT"))
		fmt.Println("not killed")
		return
	}
	r := newRepo(t)
	c := commits(t, r, scenario...)
	dirty := 0
	for step := 0; ; step++ {
		w := newWorktree(t, t.TempDir())
		w.mustTo(t, r, c[0])
		w.write(t, "mine", "mine")
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "GIT_TEST_KILL="+strconv.Itoa(step), "GIT_TEST_REPO="+r.Dir,
			"GIT_TEST_COMMIT="+c[1],
			"GIT_TEST_DIR="+w.Dir, "GIT_TEST_STATE="+w.State, "GIT_TEST_TEMP="+w.Temp)
		out, err := cmd.CombinedOutput()
		if err == nil {
			if !bytes.Contains(out, []byte("not killed")) {
				t.Fatal(string(out))
			}
			break
		}
		if _, settled, _ := w.Commit(); !settled {
			dirty++
		}
		// as at the start of a server
		if err := errors.Join(os.RemoveAll(w.Temp), os.Mkdir(w.Temp, 0o755)); err != nil {
			t.Fatal(err)
		}
		next := c[step%3]
		w.mustTo(t, r, next)
		want := fresh(t, r, next)
		want["mine"] = "-rw-r--r-- mine"
		compareTrees(t, fmt.Sprintf("step %d", step), readTree(t, w.Dir), want)
	}
	if dirty < 8 {
		t.Errorf("only %d kills came while the folder changed", dirty)
	}
}

// Folders that a killed update made but had not filled are removed by the next update that has no
// files for them, even one to the previous commit.
func TestKilledBeforeFirstFile(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, files{"a": "-1", "old/d": "-1"},
		files{"a": "-1", "old/d": "-1", "new/deep/b": "-1", "used/c": "-1"}, files{"a": "-3"})
	for i, next := range c {
		w := newWorktree(t, t.TempDir())
		w.mustTo(t, r, c[0])
		w.write(t, "a", "local")
		before, err := w.load()
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.stage()
		if err != nil {
			t.Fatal(err)
		}
		dirs := []string{"new", "new/deep", "old/deep", "used"}
		if err := errors.Join(w.announceFolders(s, before, dirs),
			os.MkdirAll(w.path("new/deep"), 0o755),
			os.Mkdir(w.path("old/deep"), 0o755)); err != nil {
			t.Fatal(err)
		}
		s.remove()
		w.write(t, "used/app", "mine")
		w.mustTo(t, r, next)
		want := fresh(t, r, next)
		want["used"], want["used/app"] = "drwxr-xr-x", "-rw-r--r-- mine"
		if i < 2 {
			want["a"] = "-rw-r--r-- local" // no commit has changed it
		}
		compareTrees(t, strconv.Itoa(i), readTree(t, w.Dir), want)
	}
}

// After a power cut the two files are trusted only if they agree.
func TestStateFiles(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, scenario...)
	for name, spoil := range map[string]func(w Worktree) error{
		"updating": func(w Worktree) error {
			return os.WriteFile(w.State,
				state{updating, c[0]}.format(), 0o644)
		},
		"no state":    func(w Worktree) error { return os.Remove(w.State) },
		"empty state": func(w Worktree) error { return os.Truncate(w.State, 0) },
		"odd state": func(w Worktree) error {
			return os.WriteFile(w.State, []byte("[1"),
				0o644)
		},
		"other state": func(w Worktree) error {
			return os.WriteFile(w.State,
				state{settled, c[1]}.format(), 0o644)
		},
		"no manifest":    func(w Worktree) error { return os.Remove(w.manifest()) },
		"empty manifest": func(w Worktree) error { return os.Truncate(w.manifest(), 0) },
		"and a pipe": func(w Worktree) error {
			return errors.Join(os.Remove(w.State), os.Remove(w.path("g")),
				syscall.Mkfifo(w.path("g"), 0o644))
		},
		"half a manifest": func(w Worktree) error { return os.Truncate(w.manifest(), 90) },
		"of both": func(w Worktree) error {
			return os.WriteFile(w.manifest(),
				formatManifest(Zero, nil, nil), 0o644)
		},
	} {
		w := newWorktree(t, t.TempDir())
		w.mustTo(t, r, c[0])
		w.write(t, "a", "torn")
		if err := spoil(w); err != nil {
			t.Fatal(err)
		}
		w.mustTo(t, r, c[0])
		if got := string(must(t, os.ReadFile, w.path("a"))); got != "1" {
			t.Errorf("%s: a file is still %q", name, got)
		}
		compareTrees(t, name, readTree(t, w.Dir), fresh(t, r, c[0]))
	}
}

// An update to a commit that added files is interrupted and the commit is lost. Its files are still
// removed.
func TestInterruptedCommitIsLost(t *testing.T) {
	one, two := newRepo(t), newRepo(t)
	a := commits(t, one, files{"a": "-1"}, files{"a": "-1", "b": "-1", "c": "-1", "d": "-1"})
	b := commits(t, two, files{"a": "-2"})[0]
	seen := false
	for step := range 12 {
		w := newWorktree(t, t.TempDir())
		w.mustTo(t, one, a[0])
		w.to(&endingContext{Context: t.Context(), left: step, then: func() {}}, one, a[1])
		seen = seen || len(readTree(t, w.Dir)) > 1
		w.mustTo(t, two, b)
		compareTrees(t, strconv.Itoa(step), readTree(t, w.Dir), fresh(t, two, b))
	}
	if !seen {
		t.Error("no update was interrupted")
	}
}

// New files appear before files that refer to them change, and nothing is removed before that.
func TestOrder(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, files{"b": "-1", "d": "-1", "gone1": "-1", "gone2": "-1"},
		files{"a": "-2", "b": "-2", "c": "-2", "d": "-2", "e": "-2"})
	between := map[string]bool{}
	for step := range 14 {
		w := newWorktree(t, t.TempDir())
		w.mustTo(t, r, c[0])
		w.to(&endingContext{Context: t.Context(), left: step, then: func() {}}, r, c[1])
		there := ""
		for name, what := range readTree(t, w.Dir) {
			if strings.HasSuffix(what, "2") {
				there += map[bool]string{true: "1", false: "2"}[strings.Contains("ace", name)]
			}
			if strings.HasPrefix(name, "gone") {
				there += "3"
			}
		}
		count := func(what string) int { return strings.Count(there, what) }
		if count("2") > 0 && count("1") < 3 || count("3") < 2 && count("2") < 2 {
			t.Errorf("step %d: %d new ones, %d changed ones, %d not gone yet", step, count("1"),
				count("2"), count("3"))
		}
		between[fmt.Sprint(count("1"), count("2"), count("3"))] = true
	}
	if len(between) < 8 {
		t.Error("not every step was seen:", between)
	}
}

// A full disk or a missing object changes nothing.
func TestFailedUpdateChangesNothing(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, files{"a": "-1", "b": "-1"},
		files{"a": "-2", "new/deep/c": "-" + noise(2<<20)}, files{"a": "-3"})
	gone := tree(t, r, "100644 blob "+strings.Repeat("1", 40)+"\tc")
	lost := commit(t, r, "lost", tree(t, r, "100644 blob "+blob(t, r, "2")+"\ta", "040000 tree "+
		gone+"\tnew"))
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, r, c[0])
	if _, err := w.to(t.Context(), r, lost); err == nil ||
		!strings.Contains(err.Error(), "new/c: ") {
		t.Error(err)
	}
	w.at(t, c[0], true)
	compareTrees(t, "lost", readTree(t, w.Dir), fresh(t, r, c[0]))

	w = newWorktree(t, smallDisk(t))
	w.mustTo(t, r, c[0])
	if _, err := w.to(t.Context(), r, c[1]); !errors.Is(err, syscall.ENOSPC) ||
		!strings.Contains(err.Error(), "write new/deep/c: ") {
		t.Error(err)
	}
	w.at(t, c[0], true)
	compareTrees(t, "full", readTree(t, w.Dir), fresh(t, r, c[0]))
	w.mustTo(t, r, c[2])
	compareTrees(t, "after", readTree(t, w.Dir), fresh(t, r, c[2]))
}

// A reader of a changing file finds it at any time, with the complete old or new content.
func TestTornReads(t *testing.T) {
	r := newRepo(t)
	const size = 100_000
	ones, twos := files{}, files{}
	for i := range 20 {
		name := fmt.Sprintf("d%d/f", i)
		ones[name], twos[name] = "-"+strings.Repeat("1", size), "-"+strings.Repeat("2", size+1)
	}
	c := commits(t, r, ones, twos)
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, r, c[0])
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	seen := map[byte]int{}
	readers.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			content, err := os.ReadFile(w.path(fmt.Sprintf("d%d/f", i%20)))
			if err != nil || len(content) < size || len(content) != size+int(content[0]-'1') ||
				bytes.Count(content, content[:1]) != len(content) {
				t.Errorf("torn: %d bytes, %v", len(content), err)
				return
			}
			seen[content[0]]++
		}
	})
	for i := range 30 {
		w.mustTo(t, r, c[(i+1)%2])
	}
	stop()
	readers.Wait()
	if seen['1'] == 0 || seen['2'] == 0 {
		t.Error("the reader saw only one version:", seen)
	}
}

// If an app replaces a folder by a link at any moment, nothing is written or removed behind the
// link.
func TestHostileLinks(t *testing.T) {
	r := newRepo(t)
	one, two := files{"keep": "-1"}, files{"keep": "-2"}
	for i := range 20 {
		one[fmt.Sprintf("src/deep/f%d", i)] = "-1"
		two[fmt.Sprintf("src/deep/f%d", i+10)] = "-2" // some are removed, some change, some are new
	}
	c := commits(t, r, one, two)
	dir := t.TempDir()
	w := newWorktree(t, dir)
	outside := filepath.Join(dir, "outside")
	for i := range 30 {
		name := filepath.Join(outside, "deep", fmt.Sprintf("f%d", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755),
			os.WriteFile(name, []byte("theirs"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want := readTree(t, outside)
	w.mustTo(t, r, c[0])
	ctx, stop := context.WithCancel(t.Context())
	var app sync.WaitGroup
	swaps := 0
	app.Go(func() {
		for ; ctx.Err() == nil; swaps++ {
			for _, swap := range [][2]string{{"src", outside},
				{"src/deep", filepath.Join(outside, "deep")}} {
				at, aside := w.path(swap[0]), w.path("aside")
				if os.Rename(at, aside) == nil {
					os.Symlink(swap[1], at)
					os.Remove(at)
					os.Rename(aside, at)
				}
				os.RemoveAll(aside)
			}
		}
	})
	for i := range 60 {
		w.to(t.Context(), r, c[(i+1)%2]) // may fail
	}
	stop()
	app.Wait()
	compareTrees(t, "outside", readTree(t, outside), want)
	if swaps < 50 {
		t.Error("only swapped", swaps, "times")
	}
	os.RemoveAll(w.path("src")) // with its links
	os.WriteFile(w.State, nil, 0o644)
	w.mustTo(t, r, c[0])
	for name, what := range fresh(t, r, c[0]) {
		if got := readTree(t, w.Dir)[name]; got != what {
			t.Errorf("%s is %q after all, want %q", name, got, what)
		}
	}
	if err := os.RemoveAll(w.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, w.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := w.to(t.Context(), r, c[1]); err == nil {
		t.Error("Dir itself is a link, and was followed")
	}
	compareTrees(t, "outside", readTree(t, outside), want)
}

// Files and folders have their modes, whatever the umask.
func TestUpdateUmask(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, scenario...)
	w := newWorktree(t, t.TempDir())
	old := syscall.Umask(0o077)
	_, err := w.to(t.Context(), r, c[0])
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	compareTrees(t, "umask", readTree(t, w.Dir), fresh(t, r, c[0]))
	for _, name := range []string{w.Dir, w.State} {
		if info := must(t, os.Stat, name); info.Mode().Perm()&0o044 != 0o044 {
			t.Errorf("%s: %s", name, info.Mode())
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(formatManifest(Zero, nil, nil))
	f.Add(formatManifest(strings.Repeat("a", 40),
		[]entry{{path: "a/b c\td", mode: 0o100755}, {path: "ü", mode: 0o120000}},
		[]string{"d", "d/e"}))
	f.Add([]byte(Zero + "\x00100644 " + Zero + " 0\t../a\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		h, ok := parseManifest(content)
		if !ok {
			return
		}
		for p := range h.entries {
			if !fs.ValidPath(p) && strings.ToValidUTF8(p, "") == p || strings.HasPrefix(p, "/") ||
				slices.Contains(strings.Split(p, "/"), "..") {
				t.Errorf("%q", p)
			}
		}
		again, ok := parseManifest(formatManifest(h.commit, slices.Collect(maps.Values(h.entries)),
			h.folders))
		if !ok || again.commit != h.commit || !maps.Equal(again.entries, h.entries) ||
			!slices.Equal(again.folders, h.folders) {
			t.Errorf("%+v is %+v", h, again)
		}
	})
}

// The manifest has git's own format.
func TestManifestFormat(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, scenario...)
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, r, c[0])
	cmd := exec.Command("git", "--git-dir="+r.Dir, "ls-files", "--stage", "-z")
	cmd.Env = append(os.Environ(), "GIT_INDEX_FILE="+filepath.Join(t.TempDir(), "index"))
	read := exec.Command("git", "--git-dir="+r.Dir, "read-tree", c[0])
	read.Env = cmd.Env
	if err := read.Run(); err != nil {
		t.Fatal(err)
	}
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := must(t, os.ReadFile, w.manifest()); string(got) != c[0]+"\x00"+string(want) {
		t.Errorf("%q, git: %q", got, want)
	}
}
