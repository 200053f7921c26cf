//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
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
)

// adopt makes this process the parent of whatever its descendants leave behind, so that endAll finds it.
func adopt() error {
	const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER, prctl(2)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		return fmt.Errorf("prctl: %w", errno)
	}
	return nil
}

// endAll kills every descendant, again until there is none, since one may fork meanwhile.
func endAll() {
	for range 500 {
		pids := descendants(os.Getpid())
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

// processes are all there are, by parent.
func processes() map[int][]int {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields := stat(pid); len(fields) > 1 && fields[0] != "Z" {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	return children
}

// descendants are the processes below pid that have not ended.
func descendants(pid int) []int {
	children := processes()
	var all []int
	for next := children[pid]; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all
}

// stat is proc_pid_stat(5) from its third field on, the state; nil where there is no such process.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The second field, the name in parentheses, may hold anything.
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// program is the name of what the process runs.
func program(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(text))
}

// tenant is a process that a server of the volume under test has started, or what that started in turn.
type tenant struct {
	pid  int
	life string // of the server: which of its starts
	run  string // which process or build step: "blog.v7.web.1..."
	env  map[string]string
}

// arguments are what the process was started with.
func arguments(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}

// ofServer are the processes of the server itself: it, its guard, its hooks; not the commands that people give beside it.
func ofServer(binary string) (pids []int) {
	for _, children := range processes() {
		for _, pid := range children {
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			first, rest, _ := strings.Cut(arguments(pid), " ")
			second, _, _ := strings.Cut(rest, " ")
			if exe == binary && (second == "serve" || second == "guard" || strings.HasSuffix(first, "-receive")) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// mark is what the marker of the volume at root begins with: see package child.
func mark(root string) string {
	sum := sha256.Sum256([]byte(root))
	return hex.EncodeToString(sum[:8]) + "/"
}

// tenants are all there are on this machine, whoever their parent is: those that carry the server's marker.
func tenants(root string) []tenant {
	mark := mark(root)
	var all []tenant
	for _, pids := range processes() {
		for _, pid := range pids {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil {
				continue
			}
			t := tenant{pid: pid, env: map[string]string{}}
			for entry := range strings.SplitSeq(string(text), "\x00") {
				name, value, _ := strings.Cut(entry, "=")
				t.env[name] = value
			}
			if of, ok := strings.CutPrefix(t.env["PAAS_RUN"], mark); ok {
				t.life, t.run, _ = strings.Cut(of, "/")
				all = append(all, t)
			}
		}
	}
	return all
}

// command is exec.CommandContext for something that ends when this process does, however it does.
func command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	// A group of its own keeps Ctrl-C from it: it is stopped in order, not in the middle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// output runs a command to its end; the error holds what it printed.
func output(cmd *exec.Cmd) ([]byte, error) {
	var all, out bytes.Buffer
	cmd.Stderr = &all
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out.Bytes(), all.Bytes())
	}
	return out.Bytes(), nil
}

// pass waits, unless ctx ends before.
func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// removeAll is os.RemoveAll for trees that may hold read-only folders.
func removeAll(dir string) error {
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

// progress goes to standard error; standard output is the report alone.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
