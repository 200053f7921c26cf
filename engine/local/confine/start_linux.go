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

// Starts says whether the box's commands are started by Start: no thread of the server can enter
// it.
func (b *Box) Starts() bool { return b.in != nil }

// Start starts cmd in the box, as a child of the server. Of its SysProcAttr, Setctty and PidFD
// count. Before the command's first instruction take is called with its number, to put it under
// what else confines it; where the kernel lets nobody trace, soon after.
func (b *Box) Start(cmd *exec.Cmd, take func(pid int) error) error {
	pid, err := b.launch(cmd)
	if err != nil {
		return err
	}
	begin := func() error { return letGo(pid, take) }
	if !mayTrace() {
		begin = func() error { return take(pid) }
	}
	if err := b.in.of.on(begin); err != nil {
		if !errors.Is(err, errEnded) { // else its number may be another's
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

// letGo lets a command go on that is stopped as it was executed, since it asked to be traced
// (ptrace(2)). Only its parent's thread can.
func letGo(pid int, take func(pid int) error) error {
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

var errEnded = errors.New("it was ended before it began")

func wait(pid int, status *unix.WaitStatus) error {
	for {
		if _, err := unix.Wait4(pid, status, 0, nil); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// launch has the helper start cmd.
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
	name := rand.Text()[:15] // as long as one may be
	connection, err := b.in.helper.ask(request{
		Sandbox: b.in.number, Name: name, Box: *b, Path: cmd.Path, Args: cmd.Args, Dir: cmd.Dir,
		Env: cmd.Env, Setctty: cmd.SysProcAttr.Setctty, Trace: mayTrace(),
	}, files...)
	if err != nil {
		return 0, fmt.Errorf("confine: %w", err)
	}
	defer connection.Close()
	r, err := answer(connection)
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

// mayTrace says whether the kernel lets a process be traced by its parent: hardened machines let
// nobody (ptrace_scope of Yama in the kernel's documentation).
func mayTrace() bool {
	scope, _ := os.ReadFile(ptraceScope)
	return strings.TrimSpace(string(scope)) != "3"
}

// reap takes the exit status of the child of that name, which could not execute its command: the
// helper does not learn its number.
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
