package rig

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Disk mounts a new file system of that kind, such as xfs, of 400 MB in a file, and returns its
// folder. The test is skipped if that is not possible.
func Disk(t testing.TB, kind string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skipf("NOT TESTED: %s: mounting it needs root", kind)
	}
	dir := t.TempDir()
	image, mounted := filepath.Join(dir, "image"), filepath.Join(dir, "mounted")
	err := errors.Join(
		os.Mkdir(mounted, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, 400<<20),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{"mkfs." + kind, image}, {"mount", "-o", "loop", image, mounted}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Skipf("NOT TESTED: %s: %v: %s", kind, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", mounted).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	return mounted
}
