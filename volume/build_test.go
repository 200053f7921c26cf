package volume

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestCheckBuildDir(t *testing.T) {
	for dir, want := range map[string]string{"": "", ".": "", "./": "", "api": "api", "./services/api/": "services/api", "a b": "a b", "..a": "..a", "a/../b": "b"} {
		if got, err := CheckBuildDir(dir); got != want || err != nil {
			t.Errorf("%q: %q, %v", dir, got, err)
		}
	}
	for _, dir := range []string{"..", "../other", "/etc", "a/../..", "a\nb", "a\x00", ".git", ".git/hooks", string(make([]byte, 300))} {
		if got, err := CheckBuildDir(dir); err == nil {
			t.Errorf("%q: %q", dir, got)
		}
	}
}

func FuzzBuildDir(f *testing.F) {
	for _, seed := range []string{"services/api", "../x", "/", "a//b/./c", "\x00", "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dir string) {
		got, err := CheckBuildDir(dir)
		if err == nil && got != "" &&
			(!fs.ValidPath(got) || !filepath.IsLocal(got)) {
			t.Errorf("%q: %q", dir, got)
		}
	})
}

// The app's folder is always inside the commit, whatever links the commit has.
func TestReleaseTree(t *testing.T) {
	app := App{Name: "blog", vol: &Volume{Root: t.TempDir()}}
	tree := app.BuildTree("b")
	if err := os.MkdirAll(filepath.Join(tree, "services/api"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"out": t.TempDir(), "in": "services/api", "up": "../.."} {
		if err := os.Symlink(to, filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	of := func(dir string) (string, error) {
		return app.ReleaseTree(Release{Build: "b", Settings: Settings{BuildDir: dir}})
	}
	for dir, want := range map[string]string{"": tree, "services/api": tree + "/services/api", "in": tree + "/in"} {
		if got, err := of(dir); got != want || err != nil {
			t.Errorf("%q: %q, %v", dir, got, err)
		}
	}
	for _, dir := range []string{"no", "file", "out", "up", "../x"} {
		if got, err := of(dir); err == nil {
			t.Errorf("%q: %q", dir, got)
		}
	}
}
