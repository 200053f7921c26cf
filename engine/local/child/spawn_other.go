//go:build !linux

package child

import (
	"os/exec"
	"syscall"
)

// ownSession makes cmd the leader of a session of its own.
func ownSession(cmd *exec.Cmd) (handle *int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return nil
}

// awaitEnd blocks until cmd has ended; the returned function says how.
func awaitEnd(cmd *exec.Cmd, _ *int) (wait func() error) {
	err := cmd.Wait()
	return func() error { return err }
}

func firstThread() bool { return false }
