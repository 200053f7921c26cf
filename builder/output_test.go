package builder

import (
	"os"
	"path/filepath"
	"testing"

	"paas/rig"
)

// A link to a compiled program replaces nothing of the commit, and leads nowhere else.
func TestLinkProgram(t *testing.T) {
	outside := t.TempDir()
	for name, test := range map[string]struct {
		files map[string]string
		links map[string]string // path -> target
		at    string
		want  bool // it leads to the program
	}{
		"nothing there": {nil, nil, "bin/shop", true},
		"deep":          {nil, nil, "target/release/shop", true},
		"a folder":      {map[string]string{"bin/x": ""}, nil, "bin/shop", true},
		"a script":      {map[string]string{"bin/shop": ""}, nil, "bin/shop", false},
		"a file":        {map[string]string{"bin": ""}, nil, "bin/shop", false},
		"a file, deep":  {map[string]string{"target": ""}, nil, "target/release/shop", false},
		"a link out":    {nil, map[string]string{"bin": outside}, "bin/shop", false},
		"a dead link":   {nil, map[string]string{"bin": "gone"}, "bin/shop", false},
		"a link":        {map[string]string{"a/x": ""}, map[string]string{"bin": "a"}, "a/shop", true},
		"at the top":    {nil, nil, "shop", true},
		"folder at top": {map[string]string{"shop/main.go": ""}, nil, "shop", false},
	} {
		dir := rig.Tree(t, test.files)
		rig.Write(t, dir, map[string]string{".paas/bin/shop": "program"})
		for at, to := range test.links {
			if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
				t.Fatal(err)
			}
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = (&build{tree: root}).link(test.at, ".paas/bin/shop")
		root.Close()
		content, _ := os.ReadFile(filepath.Join(dir, test.at))
		if got := string(content) == "program"; err != nil || got != test.want {
			t.Errorf("%s: leads to the program: %v, err = %v", name, got, err)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("wrote outside the tree: %v", left)
	}
}
