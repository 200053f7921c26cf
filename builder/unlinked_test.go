package builder

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"paas/rig"
)

// A link that a build puts into its cache leads the builder to no files of the server: where apps
// have the server's user, that may read and remove everything.
func TestLinksOfTheCacheAreNotFollowed(t *testing.T) {
	t.Parallel()
	apps := func(t *testing.T) (dir string, b *build) {
		dir = rig.Tree(t, map[string]string{
			"1/secret": "s", "2/secret": "s", "3/secret": "s", "4/secret": "s", "4.users": "",
			"evil/cache/x": "", "evil/tree/node_modules/x": "",
		})
		b = &build{job: Job{Cache: dir + "/evil/cache", Tree: dir + "/evil/tree", Out: io.Discard, View: sameView{}}}
		var err error
		if b.tree, err = os.OpenRoot(b.job.Tree); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.tree.Close() })
		return dir, b
	}
	link := func(t *testing.T, b *build, name, to string) {
		t.Helper()
		path := filepath.Join(b.job.Cache, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	remains := func(t *testing.T, dir string) {
		t.Helper()
		if files, _ := filepath.Glob(dir + "/?/secret"); len(files) != 4 {
			t.Errorf("only %q remain", files)
		}
	}
	t.Run("keep", func(t *testing.T) {
		dir, b := apps(t)
		kept := keptFolder{b.cache("node_modules", "key")}
		link(t, b, "node_modules", dir)
		if err := kept.keep(t.Context(), b.tree, "node_modules", true); err != nil {
			t.Error(err)
		}
		remains(t, dir)
	})
	t.Run("restore", func(t *testing.T) {
		dir, b := apps(t)
		kept := keptFolder{b.cache("node_modules", "key")}
		link(t, b, "node_modules/key", dir+"/1")
		kept.restore(t.Context(), b, "node_modules", "package-lock.json", false)
		if _, err := os.Stat(b.job.Tree + "/node_modules/secret"); err == nil {
			t.Error("it copies the files of another app")
		}
	})
	t.Run("keep what a link leads to", func(t *testing.T) {
		dir, b := apps(t)
		if err := os.Symlink(dir+"/1", b.job.Tree+"/vendor"); err != nil {
			t.Fatal(err)
		}
		kept := keptFolder{b.cache("vendor", "key")}
		if err := kept.keep(t.Context(), b.tree, "vendor", false); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(kept.dir + "/secret"); err == nil {
			t.Error("it copies the files of another app")
		}
	})
	t.Run("remove", func(t *testing.T) {
		dir, b := apps(t)
		link(t, b, "buildpack/fetched", dir)
		if err := b.pruneBuildpacks(nil); err != nil {
			t.Error(err)
		}
		remains(t, dir)
	})
	t.Run("share", func(t *testing.T) {
		dir, b := apps(t)
		venv := b.shared("venv", "key")
		err := b.share(venv, "packages", "requirements.txt", func() error {
			return os.Symlink(dir+"/1/secret", filepath.Join(venv, completeName))
		})
		if err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(dir + "/1/secret"); string(got) != "s" {
			t.Errorf("another app's file is now %q, %v", got, err)
		}
	})
	t.Run("sweep", func(t *testing.T) {
		dir, b := apps(t)
		link(t, b, "venv", dir)
		if err := Sweep(b.job.Cache); err != nil {
			t.Error(err)
		}
		remains(t, dir)
	})
}
