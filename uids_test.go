package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

func TestUIDInUse(t *testing.T) {
	const nobodys = 71234
	if !uidInUse(0) || uidInUse(nobodys) {
		t.Errorf("root's: %t, nobody's: %t", uidInUse(0), uidInUse(nobodys))
	}
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIP: only root on Linux starts a process as another user")
	}
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodys, Gid: nobodys}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if !uidInUse(nobodys) {
		t.Error("a process runs as it")
	}
}
