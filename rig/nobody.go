package rig

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// Nobody is the id of a user without rights that is in the machine's user database.
const Nobody = 65534

// AsNobody runs the calling package's tests that match pattern, as for -test.run, as the user
// [Nobody]. It copies files, which the tests read, beside them. It fails the calling test if one of
// them fails. It needs root, and skips the calling test otherwise.
func AsNobody(t *testing.T, pattern string, files ...string) {
	t.Helper()
	AsUser(t, Nobody, nil, pattern, files...)
}

// AsUser is AsNobody for another user. If prefix is not nil, it is a command that executes the rest
// of its arguments, and starts the tests.
func AsUser(t *testing.T, uid int, prefix []string, pattern string, files ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIP: these tests run as an ordinary user already")
	}
	// The user can read /opt. Apps have a /tmp of their own, so the folder cannot be there.
	dir, err := os.MkdirTemp("/opt", "paas-nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copies := map[string]string{self: "tests"}
	for _, file := range files {
		copies[file] = file
	}
	for from, to := range copies {
		to = filepath.Join(dir, to)
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		return os.Chown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
	argv := append(slices.Clone(prefix), filepath.Join(dir, "tests"), "-test.run="+pattern, "-test.v")
	tests := exec.Command(argv[0], argv[1:]...)
	tests.Dir = dir
	tests.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	user := &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	tests.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	out, err := tests.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("as an ordinary user: %v:\n%s", err, out)
	}
	t.Logf("as an ordinary user:\n%s", out)
}
