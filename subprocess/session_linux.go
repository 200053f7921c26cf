package subprocess

import "syscall"

// OwnSession starts a command in its own session, and kills it when the thread that started it
// ends.
func OwnSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
