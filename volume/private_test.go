package volume

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Open closes the folders that other users may enter, and logs that. It does not touch closed ones.
func TestOpenClosesTheRoot(t *testing.T) {
	for _, mode := range []fs.FileMode{0o755, 0o750, 0o711, 0o777, 0o770 | fs.ModeSetgid, 0o700} {
		root := filepath.Join(t.TempDir(), "root")
		for _, dir := range []string{"", "apps", "run", "ssh", "sources", "tmp"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(root, dir), mode); err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		v := &Volume{Root: root, Log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 2 {
			if err := v.Open(); err != nil {
				t.Fatalf("%v: %v", mode, err)
			}
		}
		v.Close()
		want := 5 // one line for each folder
		if mode == 0o700 {
			want = 0
		}
		if n := strings.Count(log.String(), "closed it"); n != want {
			t.Errorf("%v: %d warnings, want %d:\n%s", mode, n, want, &log)
		}
		for _, dir := range []string{"", "run", "ssh", "sources", "tmp"} {
			info, err := os.Stat(filepath.Join(root, dir))
			if err != nil || info.Mode().Perm() != 0o700 || (info.Mode()^mode)&fs.ModeSetgid != 0 {
				t.Errorf("%v: %q has %v, %v", mode, dir, info.Mode(), err)
			}
		}
	}
}
