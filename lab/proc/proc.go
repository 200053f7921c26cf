//go:build linux

// Package proc starts, finds and ends processes for the programs of the lab. Whatever they start
// ends with them.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paas/pause"
)

// Adopt makes this process the parent of the orphans of its descendants, so that [EndAll] finds
// them.
func Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	return nil
}

// EndAll kills all descendants of this process. It repeats until there are none, because one may
// fork meanwhile.
func EndAll() {
	for range 500 {
		pids := Descendants(os.Getpid())
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Children returns all running processes of the machine by their parents.
func Children() map[int][]int {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields := Stat(pid); len(fields) > 1 && fields[0] != "Z" {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	return children
}

// Descendants returns the running processes below pid.
func Descendants(pid int) []int {
	children := Children()
	var all []int
	for next := children[pid]; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all
}

// Serving returns the process that serves for a keeper, the process that "paas serve" started: of
// its children, the one with its arguments. Without such a child, it is the keeper itself.
func Serving(keeper int) int {
	arguments := func(pid int) string {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return string(text)
	}
	for _, pid := range Children()[keeper] {
		if arguments(pid) == arguments(keeper) {
			return pid
		}
	}
	return keeper
}

// Stat returns the fields of proc_pid_stat(5) from the third one on, which is the state. It returns
// nil if there is no such process.
func Stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The second field, the name in parentheses, may contain anything.
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// Replace puts a copy of a program in the place of another one, as an upgrade does.
func Replace(path, by string) error {
	text, err := os.ReadFile(by)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path+".new", text, 0o755), os.Rename(path+".new", path))
}

// Command is [exec.CommandContext] for a process that ends when this one does, for any reason.
func Command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	// In a group of its own it does not get Ctrl-C; its user stops it in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Output runs cmd and returns its standard output. The error has everything that it printed.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var stderr, stdout bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Stdout = &stdout
	if err := cmd.Run(); err != nil {
		line := strings.Join(cmd.Args, " ")
		return stdout.Bytes(), fmt.Errorf("%s: %w\n%s%s", line, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// Wait blocks for d. If ctx ends first, it returns the cause.
func Wait(ctx context.Context, d time.Duration) error { return pause.For(ctx, d, nil) }

// RemoveAll is [os.RemoveAll] for trees with read-only folders, such as package caches.
func RemoveAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}
