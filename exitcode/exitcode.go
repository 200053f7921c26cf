// Package exitcode converts the end of a process into an exit status, as shells do (POSIX.1-2024,
// Shell Command Language, 2.8.2).
package exitcode

import (
	"os"
	"syscall"
)

// Signal returns the exit status for a process that was killed by sig.
func Signal(sig syscall.Signal) int { return 128 + int(sig) }

// Of returns the exit status of a process that has ended.
func Of(ended *os.ProcessState) int { return Wait(ended.Sys().(syscall.WaitStatus)) }

// Wait is [Of] for a status of wait4(2).
func Wait(ended syscall.WaitStatus) int {
	if ended.Signaled() {
		return Signal(ended.Signal())
	}
	return ended.ExitStatus()
}
