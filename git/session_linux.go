package git

import "syscall"

// newSession starts a child in its own session and kills it when this process ends.
func newSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
