package volume

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The app's user can enter its folders, whatever the umask was when they were made, also those of
// an app that an earlier version made. The app's own data keeps its modes.
func TestFoldersWhateverUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	v := testVolume(t)
	app, err := v.Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	open := func(want os.FileMode, names ...string) {
		t.Helper()
		for _, name := range names {
			info, err := os.Stat(filepath.Join(app.Dir(), name))
			if err != nil ||
				info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	}
	open(0o755, ".", "builds", "releases", "cache", "data", "logs")
	for _, name := range []string{"builds", "logs", "data"} {
		if err := os.Chmod(app.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	root := os.Chown(app.Data(), 12345, 12345) == nil
	if err := v.OpenFolders(); err != nil {
		t.Fatal(err)
	}
	open(0o755, "builds", "logs")
	if root {
		open(0o700, "data")
	}
}
