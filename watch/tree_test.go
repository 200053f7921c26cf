package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each step changes the tree and says which paths have changed by that. Two copies are compared:
// one scans everything, the other checks only the paths that would have events.
func TestTree(t *testing.T) {
	type step struct {
		name   string
		do     func(dir string) error
		events string // paths, with spaces
		want   string
	}
	in := func(dir string, f func(a, b string) error, a, b string) error {
		return f(filepath.Join(dir, a), filepath.Join(dir, b))
	}
	put := func(dir, path, text string) error {
		return os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644)
	}
	save := func(dir, path, text string) error { // as editors do
		if err := put(dir, path+".new", text); err != nil {
			return err
		}
		return in(dir, os.Rename, path+".new", path)
	}
	all := func(steps ...error) error {
		for _, err := range steps {
			if err != nil {
				return err
			}
		}
		return nil
	}
	steps := []step{
		{"nothing", func(string) error { return nil }, "a.js src src/b.js", ""},
		{"chmod", func(d string) error { return os.Chmod(filepath.Join(d, "a.js"), 0o755) }, "a.js",
			""},
		{"chmod of a folder",
			func(d string) error { return os.Chmod(filepath.Join(d, "src"), 0o700) }, "src", ""},
		{"touch", func(d string) error {
			return os.Chtimes(filepath.Join(d, "a.js"), time.Time{}, time.Now().Add(time.Hour))
		}, "a.js", "a.js"},
		{"atomic save, same size", func(d string) error { return save(d, "a.js", "2") },
			"a.js.new a.js", "a.js"},
		{"atomic save, same size and time", func(d string) error {
			info, err := os.Stat(filepath.Join(d, "a.js"))
			if err != nil {
				return err
			}
			return all(save(d, "a.js", "3"), os.Chtimes(filepath.Join(d, "a.js"), time.Time{},
				info.ModTime()))
		}, "a.js.new a.js", "a.js"},
		{"an editor's dance", func(d string) error {
			return all(put(d, "4913", ""), os.Remove(filepath.Join(d, "4913")),
				in(d, os.Rename, "a.js", "a.js~"), put(d, "a.js", "33"))
		}, "4913 a.js~ a.js", "a.js"},
		{"a temporary file", func(d string) error {
			return all(put(d, "t", ""), os.Remove(filepath.Join(d, "t")))
		}, "t", ""},
		{"an empty folder",
			func(d string) error { return os.MkdirAll(filepath.Join(d, "x/y"), 0o755) }, "x", ""},
		{"filled", func(d string) error { return put(d, "x/y/z.js", "") }, "x/y/z.js", "x/y/z.js"},
		{"moved", func(d string) error { return in(d, os.Rename, "x", "w") }, "x w",
			"w/y/z.js x/y/z.js"},
		{"changed below what was moved", func(d string) error { return put(d, "w/y/z.js", "1") },
			"w/y/z.js", "w/y/z.js"},
		{"replaced by a file", func(d string) error {
			return all(os.RemoveAll(filepath.Join(d, "w")), put(d, "w", "1"))
		}, "w w/y w/y/z.js", "w w/y/z.js"},
		{"and back", func(d string) error {
			return all(os.Remove(filepath.Join(d, "w")),
				os.MkdirAll(filepath.Join(d, "w/y"), 0o755), put(d, "w/y/z.js", ""))
		}, "w", "w w/y/z.js"},
		{"deleted", func(d string) error { return os.RemoveAll(filepath.Join(d, "w")) },
			"w/y/z.js w/y w", "w/y/z.js"},
		{"a link is flipped", func(d string) error {
			return all(in(d, func(_, l string) error { return os.Symlink("src", l) }, "", "l.new"),
				in(d, os.Rename, "l.new", "link"))
		}, "l.new link", "link"},
		{"behind a link", func(d string) error { return put(d, "src/b.js", "123") }, "src/b.js",
			"src/b.js"},
		{"what is left out", func(d string) error { return put(d, "src/out.txt", "1") },
			"src/out.txt", ""},
		{"other rules let in", func(d string) error { return put(d, ".gitignore", "*.md\n") },
			".gitignore", ""},
		{"and what they let in changes",
			func(d string) error { return put(d, "src/out.txt", "12") }, "src/out.txt",
			"src/out.txt"},
		{"they go, and a file comes with them", func(d string) error {
			return all(os.Remove(filepath.Join(d, ".gitignore")), put(d, "new.js", ""),
				put(d, "a.js", "4444"))
		}, ".gitignore new.js a.js", "a.js new.js"},
		{"they leave out, and another file goes", func(d string) error {
			return all(put(d, "src/.gitignore", "b.js\n"), os.Remove(filepath.Join(d, "new.js")))
		}, "new.js src/.gitignore", "new.js"},
		{"a folder turns into a link", func(d string) error {
			return all(os.RemoveAll(filepath.Join(d, "src")),
				os.Symlink(d, filepath.Join(d, "src")))
		}, "src", "src src/out.txt"},
		{"a pipe and a socket's file",
			func(d string) error { return mkfifo(filepath.Join(d, "pipe")) }, "pipe", ""},
	}
	for _, way := range []string{"looking at all", "looking at events"} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"a.js": "1", "src/b.js": "", "src/out.txt": "",
			".gitignore": "*.txt\n"})
		if err := os.Symlink("a.js", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		tree := newTree(dir, newRules(dir, nil, nil))
		watched := map[string]bool{}
		tree.watch = func(path string) error { watched[path] = true; return nil }
		tree.unwatch = func(path string) { delete(watched, path) }
		if err := tree.scan(func(string) {}); err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if err := s.do(dir); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			found := changes{}
			var err error
			if way == "looking at all" {
				err = tree.scan(found.add)
			} else {
				err = tree.check(slices.DeleteFunc(strings.Fields(s.events),
					func(p string) bool { return !tree.isRelevant(p) }), found.add)
			}
			if got := strings.Join(found.sorted(), " "); err != nil || got != s.want {
				t.Errorf("%s, %s: %q changed, not %q (%v)", way, s.name, got, s.want, err)
			}
			if folders, _ := tree.top.count(); len(watched) != folders {
				t.Errorf("%s, %s: %d folders are there, watched are %v", way, s.name, folders,
					watched)
			}
		}
		if after := watchedFiles(t, dir, nil, nil); true {
			found := changes{}
			tree.scan(found.add)
			if _, files := tree.top.count(); len(found) > 0 || files != len(after) {
				t.Errorf("%s: afterwards %d files are known and %v had changed; there are %v", way,
					files, found, after)
			}
		}
	}
}

// Files without events, because their folder was not watched yet, are found with the folder.
func TestTreeBelowNewFolder(t *testing.T) {
	dir := t.TempDir()
	tree := newTree(dir, newRules(dir, nil, nil))
	if err := tree.scan(func(string) {}); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"a/b/c/d.js": "", "a/e.js": "", "a/node_modules/f.js": ""})
	found := changes{}
	if err := tree.check([]string{"a/b", "a"}, found.add); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(found.sorted()); got != "[a/b/c/d.js a/e.js]" {
		t.Error(got)
	}
}

func TestChanges(t *testing.T) {
	c := changes{}
	for i, want := range []string{"f0 changed", "2 files changed (f0, f1)",
		"3 files changed (f0, f1, f2)", "4 files changed (f0, f1, f2, ...)"} {
		c.add(fmt.Sprint("f", i))
		if c.String() != want {
			t.Errorf("%q, not %q", c, want)
		}
	}
	if got := fmt.Sprintf("%q", c.environ()); got != `["PAAS_WATCH_CHANGED=f0\nf1\nf2\nf3"]` {
		t.Error(got)
	}
	for i := range 200 {
		c.add(fmt.Sprint("g", i))
	}
	if n := strings.Count(c.environ()[0], "\n"); n != 99 {
		t.Errorf("%d lines", n+1)
	}
	if got := (changes{"a\nb": true}).environ(); got != nil {
		t.Errorf("%q", got)
	}
	if got := (changes{strings.Repeat("x", 40000): true}).environ(); got != nil {
		t.Errorf("%d bytes", len(got[0]))
	}
}
