// Package subprocess runs commands that end with this process, each in a session of its own.
package subprocess

import (
	"context"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Command is [exec.CommandContext] for a command in its own session, which is killed as a whole
// when ctx ends. On Linux the command is also killed when this process ends, if it is started by
// [Run]. Wait returns at most 2 s after the command has exited.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = OwnSession()
	cmd.Cancel = func() error { return Kill(cmd) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Kill kills the process group of cmd, which was started in its own session.
func Kill(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// Run starts cmd and waits for it. Unless nil, started is called in between.
func Run(cmd *exec.Cmd, started func()) error {
	// The parent-death signal is sent when the thread that started the child ends (prctl(2)), which
	// happens when another goroutine locks that thread and returns.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	if started != nil {
		started()
	}
	return cmd.Wait()
}
