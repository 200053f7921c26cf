package volume

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckFolder(t *testing.T) {
	for dir, want := range map[string]string{"": "", ".": "", "./": "", "api": "api", "./services/api/": "services/api", "a b": "a b", "..a": "..a", "a/../b": "b"} {
		if got, err := CheckFolder("build-dir", dir); got != want || err != nil {
			t.Errorf("%q: %q, %v", dir, got, err)
		}
	}
	for _, dir := range []string{"..", "../other", "/etc", "a/../..", "a\nb", "a\x00", ".git", ".git/hooks", string(make([]byte, 300))} {
		if got, err := CheckFolder("build-dir", dir); err == nil {
			t.Errorf("%q: %q", dir, got)
		}
	}
}

func FuzzBuildDir(f *testing.F) {
	for _, seed := range []string{"services/api", "../x", "/", "a//b/./c", "\x00", "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dir string) {
		got, err := CheckFolder("build-dir", dir)
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

// A build does not run without its toolchains: the server's version may be another one.
func TestBuiltWithoutToolchain(t *testing.T) {
	v := testVolume(t)
	app, err := v.Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := v.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	b, err := app.PublishBuild(Build{Commit: "0123456789abcdef"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	node := Toolchain{"node", "20.17.0"}
	if err := app.SetBuilt(b.ID, Built{Toolchains: []Toolchain{node}}); err != nil {
		t.Fatal(err)
	}
	_, err = app.Built(b.ID)
	if !IsDamage(err) || !strings.Contains(err.Error(), "toolchains/node/20.17.0") {
		t.Errorf("without it: %v", err)
	}
	if dir, err = v.TempDir(); err == nil {
		err = v.PublishToolchain(node, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Built(b.ID); err != nil {
		t.Errorf("with it: %v", err)
	}
}
