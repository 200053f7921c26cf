package builder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/rig"
)

// under is a view in which commands see a folder elsewhere.
type under struct{ from, to string }

func (u under) Inside(text string) string  { return strings.ReplaceAll(text, u.from, u.to) }
func (u under) Outside(text string) string { return strings.ReplaceAll(text, u.to, u.from) }

// What contains its own path is true again after a move, also if a kill interrupted that before.
func TestSettle(t *testing.T) {
	t.Parallel()
	cache := rig.Tree(t, map[string]string{
		"venv/key.users":        "../tree\n",
		"venv/key/complete":     "/old/venv/key",
		"venv/key/bin/run":      "#!/old/venv/key/bin/python\n/old/venv/key-2",
		"venv/key/bin/done":     "#!/new/venv/key/bin/python\n",
		"venv/key/bin/.moved":   "half",
		"venv/key/compiled":     "/old/venv/key\x00",
		"venv/unfinished.users": "../tree\n",
		"venv/unfinished/run":   "/old/venv/unfinished",
	})
	dir := filepath.Join(cache, "venv/key")
	if err := os.Chmod(dir+"/bin/run", 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"in": "/old/venv/key/bin", "out": "/usr/bin"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	view := under{cache, "/new"}
	if IsSettled(cache, view) {
		t.Error("settled before")
	}
	if err := Settle(cache, view); err != nil {
		t.Fatal(err)
	}
	if !IsSettled(cache, view) {
		t.Error("not settled after")
	}
	for name, want := range map[string]string{
		"key/bin/run":    "#!/new/venv/key/bin/python\n/old/venv/key-2",
		"key/bin/done":   "#!/new/venv/key/bin/python\n",
		"key/compiled":   "/old/venv/key\x00",
		"unfinished/run": "/old/venv/unfinished",
	} {
		if got, err := os.ReadFile(filepath.Join(cache, "venv", name)); string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(dir + "/bin/run"); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	for link, want := range map[string]string{"in": "/new/venv/key/bin", "out": "/usr/bin"} {
		if got, err := os.Readlink(filepath.Join(dir, link)); got != want {
			t.Errorf("%s leads to %s, %v", link, got, err)
		}
	}
}

// A link that a build leaves in the place of a file or a folder leads out of nothing.
func TestSettleFollowsNoLink(t *testing.T) {
	t.Parallel()
	outside := rig.Tree(t, map[string]string{"file": "/old/venv/key"})
	cache := rig.Tree(t, map[string]string{
		"venv/key.users": "../tree\n", "venv/key/complete": "/old/venv/key",
	})
	for link, to := range map[string]string{"file": outside + "/file", "folder": outside} {
		if err := os.Symlink(to, filepath.Join(cache, "venv/key", link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Settle(cache, under{cache, "/new"}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(outside + "/file"); string(got) != "/old/venv/key" {
		t.Errorf("%q, %v", got, err)
	}
}

// A list of users holds after a move of both.
func TestSweepMoved(t *testing.T) {
	t.Parallel()
	volume := rig.Tree(t, map[string]string{
		"old/cache/venv/used/x": "", "old/cache/venv/unused/x": "", "old/tree/x": "",
	})
	for name, tree := range map[string]string{"used": "tree", "unused": "gone"} {
		b := &build{job: Job{Cache: volume + "/old/cache", Tree: volume + "/old/" + tree}}
		if err := b.addUser(volume + "/old/cache/venv/" + name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(volume+"/old", volume+"/new"); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(volume + "/new/cache"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"used": true, "unused": false} {
		if isFolder(volume+"/new/cache/venv/"+name) != want {
			t.Errorf("%s is there: %v", name, !want)
		}
	}
}

// No file that a build may have left keeps [Settle] from correcting the others: an app whose cache
// cannot be corrected does not start.
func TestSettleOddFiles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255)
	cache := rig.Tree(t, map[string]string{
		"venv/key.users":           "../tree\n",
		"venv/key/complete":        "/old/venv/key",
		"venv/key/a-\xe9t\xe9/run": "/old/venv/key",
		"venv/key/b/" + long:       "/old/venv/key",
		"venv/key/c/run":           "/old/venv/key",
		"venv/key/c/run.moved":     "another file",
		"venv/key/d-read-only/run": "/old/venv/key",
		"venv/key/e-closed/run":    "/old/venv/key",
		"venv/key/f-closed-file":   "/old/venv/key",
		"venv/key/g":               "/old/venv/key",
	})
	for name, mode := range map[string]os.FileMode{"d-read-only": 0o555, "e-closed": 0, "f-closed-file": 0} {
		if err := os.Chmod(filepath.Join(cache, "venv/key", name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := Settle(cache, under{cache, "/new"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a-\xe9t\xe9/run", "b/" + long, "c/run", "d-read-only/run", "g"} {
		if got, err := os.ReadFile(filepath.Join(cache, "venv/key", name)); string(got) != "/new/venv/key" {
			t.Errorf("%.20q is %q, %v", name, got, err)
		}
	}
	if got, err := os.ReadFile(cache + "/venv/key/c/run.moved"); string(got) != "another file" {
		t.Errorf("another file is %q, %v", got, err)
	}
}

func TestSettleAsNobody(t *testing.T) { rig.AsNobody(t, "^TestSettleOddFiles$") }
