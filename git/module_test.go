package git

import (
	"os"
	"path/filepath"
	"testing"
)

// The folder of a submodule is made in the tree, whatever links are in the tree.
func TestModuleFolder(t *testing.T) {
	tree, outside := t.TempDir(), t.TempDir()
	for link, to := range map[string]string{"away": outside, "up": "..", "in": "."} {
		if err := os.Symlink(to, filepath.Join(tree, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"away/lib", "up/lib", "../lib", outside + "/lib"} {
		if err := (Module{Path: path}).MakeFolder(tree); err == nil {
			t.Errorf("%s: made", path)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("%s was made outside", left[0].Name())
	}
	if err := (Module{Path: "vendor/ünï/lib"}).MakeFolder(tree); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Join(tree, "vendor/ünï/lib"))
	if err != nil || info.Mode() != os.ModeDir|0o755 {
		t.Errorf("%v, %v", info, err)
	}
}
