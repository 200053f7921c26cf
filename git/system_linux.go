package git

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// flush syncs the file system of f.
func flush(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }

// newSession starts a child in its own session and kills it when this process ends.
func newSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
