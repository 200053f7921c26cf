package receiver

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// In a container the hooks come with the image, on a read-only volume.
func TestHooksReadOnly(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "hooks")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("paas", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("NOT TESTED: a folder of hooks that is read-only; mounting needs root:", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{preReceive, postReceive} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("paas", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, root)
	contains(t, s.newClone("blog").git("push", "paas", "main"), "v1 is live")
}
