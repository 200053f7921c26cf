package rig

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Nobody is a user without rights whom programs find in the machine's list of users.
const Nobody = 65534

// AsNobody runs these tests of the calling package as [Nobody], where the caller is root: pattern
// is as -test.run takes it. It fails where one of them fails, and skips the calling test where the
// caller is not root, as they are run anyway then.
func AsNobody(t *testing.T, pattern string, files ...string) {
	t.Helper()
	AsUser(t, Nobody, nil, pattern, files...)
}

// AsUser is AsNobody for another user, whose tests are started by a command: nil, or what executes
// the rest of its arguments.
func AsUser(t *testing.T, uid int, by []string, pattern string, files ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIP: the tests are run as an ordinary user already")
	}
	dir, err := os.MkdirTemp("/opt", "paas-nobody") // where others may go, and not in /tmp, which apps have a private one of
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
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error { return os.Chown(path, uid, uid) }); err != nil {
		t.Fatal(err)
	}
	argv := append(by[:len(by):len(by)], filepath.Join(dir, "tests"), "-test.run="+pattern, "-test.v")
	again := exec.Command(argv[0], argv[1:]...)
	again.Dir = dir
	again.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	out, err := again.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("as an ordinary user: %v:\n%s", err, out)
	}
	t.Logf("as an ordinary user:\n%s", out)
}
