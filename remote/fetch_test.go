package remote

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"paas/git"
)

// read returns all files of a commit.
func read(t testing.TB, dir, commit string) map[string]string {
	t.Helper()
	objects := git.Repo{Dir: dir}.Objects()
	defer objects.Close()
	c, err := objects.Commit(commit)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := object.GetTree(objects, plumbing.NewHash(c.Tree))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err = tree.Files().ForEach(func(f *object.File) error {
		r, err := f.Reader()
		if err != nil {
			return err
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		files[f.Name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// fetchOK fetches and checks the commit and its files.
func fetchOK(t testing.TB, c *Client, r Remote, branch, dir, want string, files map[string]string) {
	t.Helper()
	commit, err := c.Fetch(t.Context(), r, Ref{Branch: branch}, dir)
	if err != nil || commit != want {
		t.Fatalf("fetched %s, %v; want %s", commit, err, want)
	}
	if got := read(t, dir, commit); !maps.Equal(got, files) {
		t.Fatalf("%d files, want %d", len(got), len(files))
	}
}

// tree returns some files, of which a few depend on seed.
func tree(seed int) map[string]string {
	files := map[string]string{"version": fmt.Sprint(seed)}
	same := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		var b strings.Builder
		for range 200 {
			fmt.Fprintln(&b, same.IntN(1e9))
		}
		if i%8 == 0 {
			fmt.Fprintln(&b, seed)
		}
		files[fmt.Sprintf("d%d/sub/f%d.txt", i%5, i)] = b.String()
	}
	return files
}

func packs(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func size(t testing.TB, dir string) (n int64) {
	t.Helper()
	for _, name := range packs(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// Everything that can happen to a remote, over every transport.
func TestFetch(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	all := remotesOf(t, root)
	c := newClient(t)
	stores := t.TempDir()
	each := func(what, branch, commit string, files map[string]string) {
		t.Helper()
		for way, remote := range all {
			t.Run(what+"/"+way, func(t *testing.T) {
				dir := filepath.Join(stores, way, "source.git")
				os.MkdirAll(filepath.Dir(dir), 0o755)
				fetchOK(t, c, remote("repo.git"), branch, dir, commit, files)
				fetchOK(t, c, remote("repo.git"), branch, dir, commit, files) // nothing to do
				if strings.HasPrefix(way, "http") {
					(repository{t, dir}).git("", "fsck", "--strict", commit)
				}
				if left, _ := filepath.Glob(filepath.Join(dir,
					"objects/pack/tmp_*")); len(left) > 0 {
					t.Error(left)
				}
			})
		}
	}
	first := r.commit("main", tree(1))
	each("first", "main", first, tree(1))
	second := r.commit("main", tree(2))
	r.commit("main", tree(3))
	each("grown", "main", r.commit("main", tree(4)), tree(4))
	each("head", "", r.git("", "rev-parse", "main"), tree(4))
	r.git("", "update-ref", "refs/heads/main", second)
	each("moved back", "main", second, tree(2))
	each("force-pushed", "main", r.put("main", tree(5), first), tree(5))
	each("unrelated", "main", r.put("main", tree(6)), tree(6))
	r.git("", "branch", "-m", "main", "trunk")
	r.git("", "symbolic-ref", "HEAD", "refs/heads/trunk")
	each("renamed", "", r.git("", "rev-parse", "trunk"), tree(6))
	each("deleted and made again", "main", r.put("main", tree(7)), tree(7))
	r.git("", "gc", "-q", "--prune=now")
	each("repacked", "main", r.commit("main", tree(8)), tree(8))
	r.remove()
	r = newRepository(t, root, "repo.git")
	each("another repository", "main", r.commit("main", tree(9)), tree(9))
	r.remove()
	source := newRepository(t, root, "deep.git")
	for i := range 3 {
		source.commit("main", tree(10+i))
	}
	source.git("", "clone", "-q", "--bare", "--depth=2", "file://"+source.dir, r.dir)
	each("shallow itself", "main", source.git("", "rev-parse", "main"), tree(12))
}

// A store keeps what later fetches build on, but does not grow without limit.
func TestFetchStoreStaysSmall(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	remote := Remote{URL: startWebServer(t, root, "", false).URL + "/repo.git"}
	c, dir := newClient(t), filepath.Join(t.TempDir(), "source.git")
	fetchOK(t, c, remote, "main", dir, r.commit("main", tree(0)), tree(0))
	whole := size(t, dir)
	most := 0
	for i := range 2*maxPacks + 3 {
		before := size(t, dir)
		fetchOK(t, c, remote, "main", dir, r.commit("main", tree(i)), tree(i))
		if now := size(t, dir); now > before && now-before > whole/2 {
			t.Errorf("fetch %d brought %d bytes; all is %d", i, now-before, whole)
		}
		most = max(most, len(packs(t, dir)))
	}
	if most != maxPacks {
		t.Errorf("%d packs at most, want %d", most, maxPacks)
	}
	// A branch that goes back to an older commit is fetched into the store, too.
	had := len(packs(t, dir))
	fetchOK(t, c, remote, "main", dir, r.put("main", tree(3), r.git("", "rev-parse", "main~5")),
		tree(3))
	r.git("", "update-ref", "refs/heads/main", r.git("", "rev-parse", "main~3"))
	want := r.git("", "rev-parse", "main")
	if _, err := c.Fetch(t.Context(), remote, Ref{Branch: "main"}, dir); err != nil {
		t.Fatal(err)
	}
	read(t, dir, want)
	if now := len(packs(t, dir)); now != had+2 {
		t.Errorf("%d packs, had %d: started a fresh store", now, had)
	}
}

// Damage by a kill, a power cut or a person is repaired.
func TestFetchRepairs(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	remote := Remote{URL: startWebServer(t, root, "", false).URL + "/repo.git"}
	c := newClient(t)
	r.put("one", tree(1))
	r.put("two", tree(2), "refs/heads/one")
	r.put("three", tree(3), "refs/heads/two")
	model := filepath.Join(t.TempDir(), "source.git")
	for _, branch := range []string{"one", "two"} {
		if _, err := c.Fetch(t.Context(), remote, Ref{Branch: branch}, model); err != nil {
			t.Fatal(err)
		}
	}
	last := func(dir string) string { names := packs(t, dir); return names[len(names)-1] }
	for name, break_ := range map[string]func(dir string) error{
		"no folder": os.RemoveAll,
		"empty folder": func(dir string) error {
			return errors.Join(os.RemoveAll(dir),
				os.Mkdir(dir, 0o755))
		},
		"a file instead": func(dir string) error {
			return errors.Join(os.RemoveAll(dir),
				os.WriteFile(dir, nil, 0o644))
		},
		"no HEAD":    func(dir string) error { return os.Remove(dir + "/HEAD") },
		"no objects": func(dir string) error { return os.RemoveAll(dir + "/objects") },
		"no packs":   func(dir string) error { return os.RemoveAll(dir + "/objects/pack") },
		"no pack":    func(dir string) error { return os.Remove(last(dir)) },
		"no index": func(dir string) error {
			return os.Remove(strings.TrimSuffix(last(dir),
				"pack") + "idx")
		},
		"neither": func(dir string) error {
			return errors.Join(os.Remove(last(dir)),
				os.Remove(strings.TrimSuffix(last(dir), "pack")+"idx"))
		},
		"pack cut":    func(dir string) error { return truncate(last(dir)) },
		"pack empty":  func(dir string) error { return rewrite(last(dir), nil) },
		"pack zeroed": func(dir string) error { return flip(last(dir)) },
		"index cut": func(dir string) error {
			return truncate(strings.TrimSuffix(last(dir),
				"pack") + "idx")
		},
		"index zeroed": func(dir string) error {
			return flip(strings.TrimSuffix(last(dir), "pack") + "idx")
		},
		"no ref":    func(dir string) error { return os.Remove(dir + "/refs/heads/upstream") },
		"ref empty": func(dir string) error { return rewrite(dir+"/refs/heads/upstream", nil) },
		"ref to no commit": func(dir string) error {
			return rewrite(dir+"/refs/heads/upstream", []byte(strings.Repeat("ab", 20)+"\n"))
		},
		"ref is garbage": func(dir string) error {
			return rewrite(dir+"/refs/heads/upstream",
				[]byte("\x00\x00"))
		},
		"shallow is garbage": func(dir string) error {
			return rewrite(dir+"/shallow", []byte("x\n0000000000000000000000000000000000000000 y"))
		},
		"left behind": func(dir string) error {
			return errors.Join(rewrite(dir+"/objects/pack/tmp_pack_1", []byte("PACK")),
				rewrite(dir+"/HEAD.lock", nil),
				rewrite(dir+"/refs/heads/upstream.lock", nil),
				rewrite(dir+"/refs/heads/upstream.new", []byte("x")),
				rewrite(dir+"/shallow.lock", nil),
				os.MkdirAll(dir+".new/objects/pack/x", 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i, branch := range []string{"two", "three"} { // unchanged, then moved
				dir := filepath.Join(t.TempDir(), "source.git")
				if err := errors.Join(os.CopyFS(dir, os.DirFS(model)), break_(dir)); err != nil {
					t.Fatal(err)
				}
				fetchOK(t, c, remote, branch, dir, r.git("", "rev-parse", branch), tree(2+i))
				if _, err := os.Stat(dir + ".new"); err == nil {
					t.Error("left its new store behind")
				}
				if left, _ := filepath.Glob(dir + "/objects/pack/tmp_*"); len(left) > 0 {
					t.Error(left)
				}
			}
		})
	}
}

func rewrite(name string, content []byte) error { return os.WriteFile(name, content, 0o644) }

func truncate(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(name, 0o644), os.Truncate(name, info.Size()/2))
}

// flip zeroes some bytes in the middle of a file.
func flip(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	clear(content[len(content)/2 : len(content)/2+16])
	return rewrite(name, content)
}

// A fetch that fails leaves the store unchanged.
func TestFetchFails(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	remote := Remote{URL: startWebServer(t, root, "", false).URL + "/repo.git"}
	c, dir := newClient(t), filepath.Join(t.TempDir(), "source.git")
	commit := r.commit("main", tree(1))
	fetchOK(t, c, remote, "main", dir, commit, tree(1))
	if _, err := c.Fetch(t.Context(), remote, Ref{Branch: "gone"}, dir); !errors.Is(err, ErrNoBranch) {
		t.Error(err)
	}
	r.commit("main", map[string]string{"random": string(noise(200 << 10))})
	small := &Client{MaxPack: 100 << 10}
	defer small.Close()
	if _, err := small.Fetch(t.Context(), remote, Ref{Branch: "main"}, dir); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	r.commit("main", map[string]string{"bomb": strings.Repeat("0", 20<<20)})
	thin := &Client{MaxFile: 10 << 20}
	defer thin.Close()
	if _, err := thin.Fetch(t.Context(), remote, Ref{Branch: "main"}, dir); !errors.Is(err, ErrTooLarge) ||
		!strings.Contains(err.Error(), "10 MiB") {
		t.Error(err)
	}
	r.remove()
	if _, err := c.Fetch(t.Context(), remote, Ref{Branch: "main"}, dir); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if got := read(t, dir, commit); !maps.Equal(got, tree(1)) {
		t.Error("the store changed")
	}
	if left, _ := filepath.Glob(dir + "/objects/pack/tmp_*"); len(left) > 0 {
		t.Error(left)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}
