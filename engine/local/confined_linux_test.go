package local

import (
	"os"
	"path/filepath"
	"testing"

	"paas/engine/local/confine"
)

// A build can hard-link files of the cache, and so need not copy thousands of them. It cannot open
// the server's files in the app's folder.
func TestBuildSharesWithCache(t *testing.T) {
	isolation := confine.Probe(t.TempDir())
	if !isolation.Users {
		t.Skipf("SKIP: users of their own: %s", isolation.Missing)
	}
	l := newLocal(t)
	l.isolation, l.Confined.User = isolation, func(string, func(int) bool) (int, error) { return 71005, nil }
	app := filepath.Join(l.Root, "apps", "blog")
	cache, tree := filepath.Join(app, "cache"), filepath.Join(app, "builds", "1", "tree")
	for _, dir := range []string{cache, tree} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(app, "settings.json"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	jail, err := l.confine("blog", tree, cache, Layout{Top: tree, Cache: cache}.places(true)...)
	if err != nil {
		t.Fatal(err)
	}
	defer jail.leave()
	err = jail.as(func() error {
		if _, err := os.ReadFile(filepath.Join(app, "settings.json")); err == nil {
			t.Error("it reads the server's file")
		}
		if err := os.WriteFile(filepath.Join(app, "new"), nil, 0o644); err == nil {
			t.Error("it writes beside its own folders")
		}
		if err := os.WriteFile(filepath.Join(cache, "x"), nil, 0o644); err != nil {
			return err
		}
		return os.Link(filepath.Join(cache, "x"), filepath.Join(tree, "x"))
	}, app)
	if err != nil {
		t.Error(err)
	}
}
