package builder

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paas/rig"
)

// Clear keeps what builds run with and nothing else; the next build does not use that.
func TestClear(t *testing.T) {
	tree, trash := t.TempDir(), t.TempDir()
	cache := rig.Tree(t, map[string]string{
		"npm/x": "", "node_modules/key/x/index.js": "", "deno/deps/x": "", "home/.config": "",
		"venv/used/bin/python": "", "venv/used.users": tree + "\n",
		"venv/old/bin/python": "", "venv/old.users": "/gone\n",
		"bundle/named/gems/x": "", "bundle/named.users": "/gone\n",
	})
	inUse := []string{
		"/usr/bin", filepath.Join(cache, "venv/used/bin"), filepath.Join(cache, "deno"),
		filepath.Join(cache, "bundle/named") + "/",
	}
	for range 2 {
		if err := Clear(cache, trash, inUse); err != nil {
			t.Fatal(err)
		}
		for path, stays := range map[string]bool{
			"npm": false, "node_modules": false, "home": false, "deno/deps/x": true,
			"venv/used/bin/python": true, "venv/used.users": true,
			"venv/old": false, "venv/old.users": false, "bundle/named/gems/x": true,
			"bundle/named.users": true, generation: true,
		} {
			if _, err := os.Stat(filepath.Join(cache, path)); (err == nil) != stays {
				t.Errorf("%s: err = %v", path, err)
			}
		}
	}
	b := &build{job: Job{Cache: cache}}
	before := b.shared("venv", "used")
	if err := Clear(cache, trash, inUse); err != nil {
		t.Fatal(err)
	}
	if after := b.shared("venv", "used"); after == before ||
		after == filepath.Join(cache, "venv/used") {
		t.Errorf("the next build uses %s, the one before used %s", after, before)
	}
	if err := Clear(filepath.Join(cache, "nowhere"), trash, nil); err != nil {
		t.Error(err)
	}
}

// An app can write to its cache. If it puts a link there for the root server to write through, or a
// pipe or device for it to read, the link is removed and the server does not block.
func TestClearFollowsNoLink(t *testing.T) {
	cache, trash := rig.Tree(t, map[string]string{"venv/x": "", "bundle/x": ""}), t.TempDir()
	machine := filepath.Join(rig.Tree(t, map[string]string{"passwd": "root"}), "passwd")
	if err := os.Symlink(machine, filepath.Join(cache, generation)); err != nil {
		t.Fatal(err)
	}
	os.Symlink("/dev/zero", filepath.Join(cache, "venv/a.users"))
	if err := unix.Mkfifo(filepath.Join(cache, "bundle/a.users"), 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- errors.Join(Sweep(cache), Clear(cache, trash,
			[]string{filepath.Join(cache, generation)}))
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Clear blocks on a file of the app's")
	}
	if content, err := os.ReadFile(machine); string(content) != "root" {
		t.Errorf("the machine's own file now contains %q, err = %v", content, err)
	}
	if content, err := readFile(filepath.Join(cache, generation), 100); len(content) == 0 {
		t.Error(err)
	}
}
