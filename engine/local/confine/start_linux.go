package confine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Starts reports whether Start must start the box's commands: no thread of the server can enter a
// sandbox.
func (b *Box) Starts() bool { return b.sandbox != nil }

// Start starts cmd in the box as a child of the server. If it has no path, [cmdline.Find] finds the
// program there. Of its SysProcAttr only Setctty and PidFD count. It calls take with the process id
// before the command's first instruction, or soon after if the kernel forbids tracing.
func (b *Box) Start(cmd *exec.Cmd, take func(pid int) error) error {
	pid, err := b.launch(cmd)
	if err != nil {
		return err
	}
	begin := func() error { return release(pid, take) }
	if !mayTrace() {
		begin = func() error { return take(pid) }
	}
	if err := b.sandbox.launcher.onThread(begin); err != nil {
		if !errors.Is(err, errEnded) { // then its id may belong to another process
			unix.Kill(pid, unix.SIGKILL)
			wait(pid, nil)
		}
		return err
	}
	if handle := cmd.SysProcAttr.PidFD; handle != nil {
		if *handle, err = unix.PidfdOpen(pid, 0); err != nil {
			*handle = -1
		}
	}
	cmd.Process, err = os.FindProcess(pid)
	return err
}

// release continues a traced command, which the kernel stops when it is executed (ptrace(2)). Only
// the thread of its parent can.
func release(pid int, take func(pid int) error) error {
	var status unix.WaitStatus
	if err := wait(pid, &status); err != nil {
		return err
	}
	if !status.Stopped() {
		return errEnded
	}
	err := take(pid)
	if detached := unix.PtraceDetach(pid); err == nil {
		err = detached
	}
	return err
}

var errEnded = errors.New("killed before it started")

func wait(pid int, status *unix.WaitStatus) error {
	for {
		if _, err := unix.Wait4(pid, status, 0, nil); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// launch lets the helper start cmd.
func (b *Box) launch(cmd *exec.Cmd) (pid int, err error) {
	var files []*os.File
	for _, stream := range []any{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		f, _ := stream.(*os.File)
		if f == nil {
			if f, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return 0, err
			}
			defer f.Close()
		}
		files = append(files, f)
	}
	name := rand.Text()[:15] // the longest possible name of a process
	connection, err := b.sandbox.helper.send(request{
		Sandbox: b.sandbox.number, Name: name, Box: *b, Path: cmd.Path, Args: cmd.Args,
		Dir: cmd.Dir,
		Env: cmd.Env, Setctty: cmd.SysProcAttr.Setctty, Trace: mayTrace(),
	}, files...)
	if err != nil {
		return 0, fmt.Errorf("confine: %w", err)
	}
	defer connection.Close()
	r, err := receive(connection)
	if r.NotFound != nil {
		return 0, r.NotFound
	}
	if r.Errno != 0 {
		reap(name)
		return 0, &os.PathError{Op: "exec", Path: cmd.Path, Err: r.Errno}
	}
	if err != nil {
		return 0, fmt.Errorf("confine: %w", err)
	}
	return r.PID, nil
}

var ptraceScope = "/proc/sys/kernel/yama/ptrace_scope"

// mayTrace reports whether a process may trace its children. Hardened machines forbid it
// (ptrace_scope of Yama in the kernel's documentation).
func mayTrace() bool {
	scope, _ := os.ReadFile(ptraceScope)
	return strings.TrimSpace(string(scope)) != "3"
}

// reap reaps the child of that name, which could not execute its command. The helper does not learn
// its process id.
func reap(name string) {
	self := strconv.Itoa(os.Getpid())
	for begin := time.Now(); time.Since(begin) < time.Second; time.Sleep(time.Millisecond) {
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, path := range stats {
			stat, _ := os.ReadFile(path)
			number, rest, _ := strings.Cut(string(stat), " ("+name+") ") // proc_pid_stat(5)
			if fields := strings.Fields(rest); len(fields) < 2 || fields[1] != self {
				continue
			}
			pid, _ := strconv.Atoi(number)
			wait(pid, nil)
			return
		}
	}
}
