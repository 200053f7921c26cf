package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// startStopped starts cmd, stopped at its first instruction. ready returns at once; the command
// goes on when the calling thread has ended, which must be soon.
func (k *Keeper) startStopped(cmd *exec.Cmd) (ready func(), err error) {
	cmd.SysProcAttr.Pdeathsig = 0
	thread, handle := unix.Gettid(), -1
	err = k.ifOpen(func() error {
		return k.startTraced(cmd, unix.SIGSTOP, func(pid int) (err error) {
			handle, err = unix.PidfdOpen(pid, 0)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return func() { go continueAfter(handle, thread) }, nil
}

// start starts cmd and limits its processes.
func (k *Keeper) start(cmd *exec.Cmd) error {
	if k.maxProcesses == 0 {
		return cmd.Start()
	}
	if !mayTrace() { // it may have started some before the limit applies
		if err := cmd.Start(); err != nil {
			return err
		}
		k.limitProcesses(cmd.Process.Pid, false)
		return nil
	}
	return k.startTraced(cmd, 0, func(int) error { return nil })
}

var ptraceScope = "/proc/sys/kernel/yama/ptrace_scope"

// mayTrace reports whether the kernel lets the server trace its children (ptrace_scope of Yama in
// the kernel's documentation). Hardened machines let only root, or nobody.
func mayTrace() bool {
	scope, _ := os.ReadFile(ptraceScope)
	switch strings.TrimSpace(string(scope)) {
	case "3":
		return false
	case "2":
		return os.Geteuid() == 0
	}
	return true
}

// startTraced starts cmd and calls ready with its process id before its first instruction. The
// command then goes on as if it had received the signal; 0: none.
//
// It asks to be traced, so the kernel stops it when it is executed (ptrace(2)). The trace ends
// then.
func (k *Keeper) startTraced(cmd *exec.Cmd, signal unix.Signal, ready func(pid int) error) error {
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	var status unix.WaitStatus
	var err error
	for {
		_, err = unix.Wait4(pid, &status, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil && !status.Stopped() {
		err = fmt.Errorf("did not start: %v", status)
	}
	if err == nil {
		limited := make(chan error, 1)
		go func() { limited <- k.limitProcesses(pid, false) }() // this thread may lack the rights
		if err = <-limited; err == nil {
			err = ready(pid)
		}
	}
	if err == nil {
		_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(pid), 0,
			uintptr(signal), 0, 0)
		if errno != 0 {
			err = fmt.Errorf("end the trace: %w", errno)
		}
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
	return err
}

// continueAfter continues a stopped process, given by its pidfd, once the thread is gone. If the
// thread stays, so does the process.
func continueAfter(handle, thread int) {
	defer unix.Close(handle)
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(20 * time.Microsecond) {
		if err := unix.Tgkill(os.Getpid(), thread, 0); errors.Is(err, unix.ESRCH) {
			unix.PidfdSendSignal(handle, unix.SIGCONT, nil, 0)
			return
		}
	}
}
