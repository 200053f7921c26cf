package runtime

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// Pages are files of the tree, and nothing else is read in their place.
func TestReadPages(t *testing.T) {
	top := t.TempDir()
	tree := filepath.Join(top, "tree")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(top, "secret"), "secret")
	write(filepath.Join(tree, "public/503.html"), "closed")
	write(filepath.Join(tree, "public/404.html"), "not ours")
	write(filepath.Join(tree, "public/413.html"), strings.Repeat("x", maxErrorPage+1))
	write(filepath.Join(tree, "here"), "linked")
	for name, to := range map[string]string{"502": "../here", "403": "../../secret", "401": "none"} {
		if err := os.Symlink(to, filepath.Join(tree, "public", name+".html")); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(tree, "public/504.html"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"503": "closed", "502": "linked"}
	if got := readPages(tree, "public"); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	if got := readPages(tree, "none"); len(got) > 0 {
		t.Errorf("of a missing folder: %q", got)
	}
}
