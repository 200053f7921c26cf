package build

import (
	"os"
	"path/filepath"
	"testing"

	"paas/runtime/rig"
)

// An emptied cache has what builds run with, and nothing else; the next build does not find that again.
func TestClear(t *testing.T) {
	tree, grave := t.TempDir(), t.TempDir()
	cache := rig.Tree(t, map[string]string{
		"npm/x": "", "node_modules/key/x/index.js": "", "deno/deps/x": "", "home/.config": "",
		"venv/used/bin/python": "", "venv/used.users": tree + "\n",
		"venv/old/bin/python": "", "venv/old.users": "/gone\n",
		"bundle/named/gems/x": "", "bundle/named.users": "/gone\n",
	})
	inUse := []string{"/usr/bin", filepath.Join(cache, "venv/used/bin"), filepath.Join(cache, "deno"), filepath.Join(cache, "bundle/named") + "/"}
	for range 2 {
		if err := Clear(cache, grave, inUse); err != nil {
			t.Fatal(err)
		}
		for path, stays := range map[string]bool{
			"npm": false, "node_modules": false, "home": false, "deno/deps/x": true, "venv/used/bin/python": true, "venv/used.users": true,
			"venv/old": false, "venv/old.users": false, "bundle/named/gems/x": true, "bundle/named.users": true, generation: true,
		} {
			if _, err := os.Stat(filepath.Join(cache, path)); (err == nil) != stays {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	b := &build{job: Job{Cache: cache}}
	before := b.shared("venv", "used")
	if err := Clear(cache, grave, inUse); err != nil {
		t.Fatal(err)
	}
	if after := b.shared("venv", "used"); after == before || after == filepath.Join(cache, "venv/used") {
		t.Errorf("the next build finds %s, after %s", after, before)
	}
	if err := Clear(filepath.Join(cache, "nowhere"), grave, nil); err != nil {
		t.Error(err)
	}
}
