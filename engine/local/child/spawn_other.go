//go:build !linux

package child

import (
	"os/exec"
	"syscall"
)

// ownSession makes cmd the leader of its own session.
func ownSession(cmd *exec.Cmd) (handle *int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return nil
}

// awaitEnd blocks until cmd has ended. The returned function returns its exit status.
func awaitEnd(cmd *exec.Cmd, _ *int) (wait func() error) {
	err := cmd.Wait()
	return func() error { return err }
}

func firstThread() bool { return false }
