package notify

import "syscall"

// ownSession puts a child into a session of its own, and has it end with this process.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
