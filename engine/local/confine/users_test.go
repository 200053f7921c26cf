package confine

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestUIDInUse(t *testing.T) {
	const unused = 71234
	if !UIDInUse(0) {
		t.Error("root's uid counts as unused")
	}
	if UIDInUse(unused) {
		t.Error("an unused uid counts as used")
	}
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIP: only root on Linux starts a process as another user")
	}
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unused, Gid: unused}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if !UIDInUse(unused) {
		t.Error("the uid of a running process counts as unused")
	}
}

// A name that is too long for a user is cut and ends in a hash.
func TestLongUserName(t *testing.T) {
	long := strings.Repeat("a", 62)
	for name, want := range map[string]string{
		"blog": "blog", long[:31]: long[:31], long + "b": long[:22] + "-HASH",
	} {
		got := userName(name)
		if cut, _, hashed := strings.Cut(got, "-"); hashed {
			got = cut + "-HASH"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if userName(long+"b") == userName(long+"c") {
		t.Error("two names became one")
	}
}
