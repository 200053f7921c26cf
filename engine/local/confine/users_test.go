package confine

import (
	"os"
	"os/exec"
	"runtime"
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
