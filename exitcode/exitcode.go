// Package exitcode turns how a process ended into one exit status, as a shell does (POSIX.1-2024,
// Shell Command Language, 2.8.2).
package exitcode

import (
	"os"
	"syscall"
)

// Signal is the exit status that stands for an end by sig.
func Signal(sig syscall.Signal) int { return 128 + int(sig) }

// Of is the exit status of a process that has ended.
func Of(ended *os.ProcessState) int { return Wait(ended.Sys().(syscall.WaitStatus)) }

// Wait is Of for what wait4(2) gives.
func Wait(ended syscall.WaitStatus) int {
	if ended.Signaled() {
		return Signal(ended.Signal())
	}
	return ended.ExitStatus()
}
