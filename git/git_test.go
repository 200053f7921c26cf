package git

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// newRepo creates a repository.
func newRepo(t testing.TB) Repo {
	t.Helper()
	r := Repo{Dir: filepath.Join(t.TempDir(), "repo.git")}
	if err := errors.Join(os.Mkdir(r.Dir, 0o755), Init(r.Dir, "main")); err != nil {
		t.Fatal(err)
	}
	return r
}

// runGit runs git with input and returns its output.
func runGit(t testing.TB, r Repo, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_COMMITTER_NAME=A",
		"GIT_COMMITTER_EMAIL=a@b.c"}, r.Quarantine.env()...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		t.Fatalf("git %v: %v %s", args, err, exit.Stderr)
	}
	return strings.TrimSpace(string(out))
}

func blob(t testing.TB, r Repo, content string) string {
	return runGit(t, r, content, "hash-object", "-w", "--stdin")
}

func tree(t testing.TB, r Repo, entries ...string) string {
	if len(entries) > 0 {
		entries = append(entries, "")
	}
	return runGit(t, r, strings.Join(entries, "\n"), "mktree", "--missing")
}

func commit(t testing.TB, r Repo, message, tree string, parents ...string) string {
	args := []string{"commit-tree", "-F", "-", tree}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	return runGit(t, r, message, args...)
}

func TestInit(t *testing.T) {
	r := newRepo(t)
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	if out := runGit(t, r, "", "fsck", "--strict"); strings.Contains(out, "error") {
		t.Error(out)
	}
	if head, err := r.Head(); head != "main" || err != nil {
		t.Error(head, err)
	}
	if err := r.SetHead(t.Context(), "prod"); err != nil {
		t.Error(err)
	}
	if head, _ := r.Head(); head != "prod" {
		t.Error(head)
	}
	os.RemoveAll(filepath.Join(r.Dir, "objects"))
	if err := r.Check(); err == nil || !strings.Contains(err.Error(), "it has no objects") ||
		errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := (Repo{Dir: r.Dir + "x"}).Check(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestRefs(t *testing.T) {
	r := newRepo(t)
	empty := tree(t, r)
	a, b := commit(t, r, "a", empty), commit(t, r, "b", empty)
	for _, step := range []struct {
		old, new string
		ok       bool
	}{{"", a, true}, {"", b, false}, {b, a, false}, {a, b, true}, {a, "", false}, {b, "", true}} {
		if err := r.SetRef(t.Context(), "refs/heads/main", step.old,
			step.new); (err == nil) != step.ok {
			t.Errorf("%+v: %v", step, err)
		}
		if ref, err := r.Ref("refs/heads/main"); step.ok && (ref != step.new || err != nil) {
			t.Errorf("%+v: %s, %v", step, ref, err)
		}
	}
	if err := r.SetRef(t.Context(), "refs/heads/main", "", a); err != nil {
		t.Fatal(err)
	}
	runGit(t, r, "", "pack-refs", "--all")
	if ref, err := r.Ref("refs/heads/main"); ref != a || err != nil {
		t.Errorf("packed: %s, %v", ref, err)
	}
}

// While git moves a branch, main.lock exists beside it and is empty at first. It was taken for
// another branch, or caused "ref file is empty".
func TestBranchesIgnoreLocks(t *testing.T) {
	r := newRepo(t)
	c := commit(t, r, "one", tree(t, r))
	if err := r.SetRef(t.Context(), Branch("main"), "", c); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", c + "\n"} {
		if err := os.WriteFile(filepath.Join(r.Dir, "refs/heads/main.lock"), []byte(content),
			0o600); err != nil {
			t.Fatal(err)
		}
		if names, err := r.Branches(); err != nil || len(names) != 1 || names[0] != "main" {
			t.Errorf("with %q in the lock: %q, %v", content, names, err)
		}
	}
}

// All branches are listed while git makes and removes its locks beside them.
func TestBranchesWhileGitWrites(t *testing.T) {
	r := newRepo(t)
	if err := r.SetRef(t.Context(), Branch("main"), "", commit(t, r, "one", tree(t, r))); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	defer writing.Wait()
	defer close(stop)
	for n := range 4 {
		lock := filepath.Join(r.Dir, "refs/heads", fmt.Sprint(n, ".lock"))
		writing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				os.WriteFile(lock, nil, 0o644)
				os.Remove(lock)
			}
		})
	}
	for n := range 500 {
		names, err := r.Branches()
		if err != nil || len(names) != 1 {
			t.Fatalf("listing %d: %q, %v", n, names, err)
		}
	}
}

func TestAncestors(t *testing.T) {
	r := newRepo(t)
	empty := tree(t, r)
	history := []string{commit(t, r, "0", empty)}
	for i := range 9 {
		history = append(history, commit(t, r, fmt.Sprint(i+1), empty, history[i]))
	}
	side := commit(t, r, "side", empty, history[3])
	merge := commit(t, r, "merge", empty, history[9], side)
	o := r.Objects()
	defer o.Close()
	for _, test := range []struct {
		old, new  string
		limit     int
		is, known bool
	}{
		{history[0], history[9], 100, true, true},
		{history[9], history[0], 100, false, true},
		{side, history[9], 100, false, true},
		{side, merge, 100, true, true},
		{history[9], history[9], 0, true, true},
		{history[0], history[9], 5, false, false},
	} {
		is, known, err := o.IsAncestor(t.Context(), test.old, test.new, test.limit)
		if is != test.is || known != test.known || err != nil {
			t.Errorf("%+v: %v %v %v", test, is, known, err)
		}
		if is, err := r.IsAncestor(t.Context(), test.old, test.new); known && is != test.is ||
			err != nil {
			t.Errorf("git says of %+v: %v %v", test, is, err)
		}
	}
	if n, err := r.CountDropped(t.Context(), merge, history[9]); n != "2" || err != nil {
		t.Error(n, err)
	}
	if _, err := r.IsAncestor(t.Context(), strings.Repeat("1", 40), merge); err == nil {
		t.Error("no error for a missing commit")
	}
}

func TestCommit(t *testing.T) {
	r := newRepo(t)
	h := commit(t, r, "subject\n\nbody", tree(t, r))
	o := r.Objects()
	defer o.Close()
	if c, err := o.Commit(h); err != nil || c.Subject != "subject" || len(c.Parents) != 0 {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := o.Commit(tree(t, r)); !errors.Is(err, ErrNotCommit) {
		t.Error(err)
	}
	if _, err := o.Commit(strings.Repeat("1", 40)); !errors.Is(err, plumbing.ErrObjectNotFound) {
		t.Error(err)
	}
	if _, err := o.Commit(commit(t, r, strings.Repeat("x", 2<<20), tree(t, r))); err == nil {
		t.Error("read a message of 2 MiB into memory")
	}
}

// Pushed objects can be read before they are accepted, beside existing ones, loose and packed.
func TestQuarantine(t *testing.T) {
	r := newRepo(t)
	old := commit(t, r, "old", tree(t, r, "100644 blob "+blob(t, r, "old")+"\ta"))
	if err := r.SetRef(t.Context(), Branch("main"), "", old); err != nil {
		t.Fatal(err)
	}
	runGit(t, r, "", "repack", "-adq")
	dir := filepath.Join(r.Dir, "objects", "tmp_objdir-incoming-x")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	q, err := r.WithQuarantine(Quarantine{Objects: dir})
	if err != nil {
		t.Fatal(err)
	}
	pushed := commit(t, q, "new", tree(t, q, "100644 blob "+blob(t, r, "old")+"\ta", "100644 blob "+
		blob(t, q, "pushed")+"\tb"), old)
	for range 2 { // loose, then packed
		o := q.Objects()
		c, err := o.Commit(pushed)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := new(Inspector).Inspect(t.Context(), o, c.Tree); err != nil || s.Files != 2 ||
			s.Bytes != 9 {
			t.Errorf("%+v %v", s, err)
		}
		if is, _, err := o.IsAncestor(t.Context(), old, pushed, 10); !is || err != nil {
			t.Error(is, err)
		}
		o.Close()
		runGit(t, q, pushed+"\n^"+old+"\n", "pack-objects", "-q", "--revs",
			filepath.Join(dir, "pack-x"))
		os.Mkdir(filepath.Join(dir, "pack"), 0o755)
		packs, _ := filepath.Glob(filepath.Join(dir, "pack-x-*"))
		for _, p := range packs {
			os.Rename(p,
				filepath.Join(dir, "pack", strings.Replace(filepath.Base(p), "pack-x-", "pack-",
					1)))
		}
		loose, _ := filepath.Glob(filepath.Join(dir, "??"))
		for _, l := range loose {
			os.RemoveAll(l)
		}
	}
	out := filepath.Join(t.TempDir(), "tree")
	quarantined := q.Objects()
	defer quarantined.Close()
	if err := errors.Join(os.Mkdir(out, 0o755), quarantined.WriteTree(t.Context(), pushed, out)); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(out, "b")); string(b) != "pushed" {
		t.Error(string(b), err)
	}
	o := r.Objects()
	defer o.Close()
	if _, err := o.Commit(pushed); err == nil {
		t.Error("quarantined objects are visible outside")
	}
	for _, other := range []string{t.TempDir(), filepath.Join(r.Dir, "objects", "info"),
		"/nonexistent/tmp_objdir-x", filepath.Join(r.Dir, "tmp_objdir-x")} {
		if _, err := r.WithQuarantine(Quarantine{Objects: other}); err == nil {
			t.Errorf("%s is taken for a quarantine", other)
		}
	}
	if err := r.Clean(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the quarantine is still there")
	}
}

// A checkout is equal to the commit byte for byte, whatever its .gitattributes say.
func TestCheckoutIsExact(t *testing.T) {
	r := newRepo(t)
	content := "$Id$ $Format:%H$\nline\n"
	attributes := "*.txt text eol=crlf ident export-subst filter=evil " +
		"working-tree-encoding=UTF-16\nhidden export-ignore\n"
	h := commit(t, r, "x", tree(t, r,
		"100644 blob "+blob(t, r, attributes)+"\t.gitattributes",
		"100644 blob "+blob(t, r, content)+"\ta.txt",
		"100644 blob "+blob(t, r, content)+"\thidden",
		"100755 blob "+blob(t, r, "#!/bin/sh\r\n")+"\trun",
		"120000 blob "+blob(t, r, "a.txt")+"\tlink"))
	out, err := writeTree(t, r, h)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.txt": content, "hidden": content,
		"run": "#!/bin/sh\r\n", ".gitattributes": attributes} {
		if got, err := os.ReadFile(filepath.Join(out, name)); string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(out, "run")); err != nil || info.Mode()&0o111 == 0 {
		t.Error(info, err)
	}
	if target, _ := os.Readlink(filepath.Join(out, "link")); target != "a.txt" {
		t.Error(target)
	}
	if _, err := writeTree(t, r, strings.Repeat("1", 40)); err == nil {
		t.Error("checked out a missing commit")
	}
}

func TestLinkClimb(t *testing.T) {
	for target, want := range map[string]int{
		"a": 0, "a/b": 0, "./a": 0, "..": 1, "../..": 2, ".././../a": 2, "../a/b": 1, "a//b": 0,
		"a/": 0,
		"":   -1, "/": -1, "/etc": -1, "a/..": -1, "../a/../b": -1, "a\x00b": -1,
	} {
		n, ok := linkClimb(target)
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d, want %d", target, n, want)
		}
	}
}

func TestInspect(t *testing.T) {
	r := newRepo(t)
	file := "100644 blob " + blob(t, r, "12345") + "\t"
	nested := tree(t, r, file+"f")
	for range maxDepth + 1 {
		nested = tree(t, r, "040000 tree "+nested+"\td")
	}
	bomb := tree(t, r, "100644 blob "+blob(t, r, "")+"\tf")
	for range 12 {
		var entries []string
		for i := range 10 {
			entries = append(entries, fmt.Sprintf("040000 tree %s\td%d", bomb, i))
		}
		bomb = tree(t, r, entries...)
	}
	hollow := tree(t, r) // contains no file, but would take forever to walk
	for range 70 {
		hollow = tree(t, r, "040000 tree "+hollow+"\ta", "040000 tree "+hollow+"\tb")
	}
	pointer := "100644 blob " + blob(t, r, "version https://git-lfs.github.com/spec/v1\n"+
		strings.Repeat("x", 60)) + "\t"
	up := tree(t, r, "120000 blob "+blob(t, r, "../x")+"\tup")
	i := &Inspector{MaxFiles: 1000, MaxBytes: 100}
	for name, test := range map[string]struct{ tree, refused string }{
		"fine":   {tree(t, r, file+"a", file+"b", "040000 tree "+up+"\tc"), ""},
		"leaves": {up, "the symbolic link up leads out of the repository"},
		"again": {tree(t, r, file+"a", "040000 tree "+up+"\tc", "120000 blob "+
			blob(t, r, "../x")+"\tz"), "the symbolic link z leads out"},
		"deep":   {nested, "more than 200 folders inside each other"},
		"bomb":   {bomb, "more than 1000 files and folders"},
		"hollow": {hollow, "more than 1000 files and folders"},
		"empty":  {tree(t, r), "the commit has no files"},
		"heavy": {tree(t, r, "100644 blob "+blob(t, r, strings.Repeat("x", 101))+"\ta"),
			"larger than 100 bytes"},
		"gitlink": {tree(t, r, file+"a", "160000 commit "+strings.Repeat("1", 40)+"\tlib"),
			"lib is a submodule, and .gitmodules has no URL for it"},
		"lfs": {tree(t, r, pointer+"p"), "p is a Git LFS pointer"},
		"lfs in folders": {tree(t, r, pointer+"a.bin", "040000 tree "+tree(t, r, pointer+"b.bin")+
			"\tc"), "a.bin, c/b.bin are Git LFS pointers"},
		"much lfs": {tree(t, r, pointer+"1", pointer+"2", pointer+"3", pointer+"4", pointer+"5",
			pointer+"6", pointer+"7"), "1, 2, 3, 4, 5 and others are Git LFS pointers"},
		"half lfs": {tree(t, r, "100644 blob "+
			blob(t, r, "version https://git-lfs.github.com/spec/v1\n")+"\tp"), ""},
	} {
		for range 2 { // the second time from the cache
			o := r.Objects()
			_, err := i.Inspect(t.Context(), o, test.tree)
			o.Close()
			var bad *Refused
			if test.refused == "" && err != nil || test.refused != "" &&
				(!errors.As(err, &bad) || !strings.Contains(bad.Reason, test.refused)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestSaturated(t *testing.T) {
	if saturated(math.MaxInt64-1, 2) != math.MaxInt64 {
		t.Error("a large sum does not saturate")
	}
	if saturated(1, 2) != 3 {
		t.Error("a small sum is wrong")
	}
}

// git reads no configuration outside the repository and gets none of the server's environment.
func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[alias]\nevil = !echo evil\n"), 0o644)
	t.Setenv("HOME", home)
	t.Setenv("PAAS_SECRET", "hunter2")
	t.Setenv("GIT_DIR", "/elsewhere")
	r := newRepo(t)
	if out, err := r.run(t.Context(), nil, "evil"); err == nil {
		t.Error(out)
	}
	for _, v := range r.Command(t.Context(), "version").Env {
		if strings.Contains(v, "hunter2") || strings.Contains(v, home) ||
			strings.HasPrefix(v, "GIT_DIR=") {
			t.Error(v)
		}
	}
	out, err := r.run(t.Context(), nil, "var", "-l")
	if err == nil && strings.Contains(out, home) {
		t.Error(out)
	}
}
