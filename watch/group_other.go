//go:build !linux

package watch

import (
	"os/exec"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func start(cmd *exec.Cmd) error { return cmd.Start() }

// The first process of the system reaps orphans.
func adopt()   {}
func reap(int) {}
