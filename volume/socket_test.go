package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket is reached however deep the volume lies, and again where a killed server left one behind.
func TestSocket(t *testing.T) {
	short, err := os.MkdirTemp("/tmp", "v")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	for _, root := range []string{short, filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))} {
		v := &Volume{Root: root}
		if err := v.Open(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			l, err := v.Listen("app")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			conn, err := v.Dial(t.Context(), "app")
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if info, err := os.Stat(v.socket("app")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		}
	}
	if _, err := (&Volume{Root: short}).Dial(t.Context(), "other"); err == nil {
		t.Error("somebody answers where nobody listens")
	}
}
