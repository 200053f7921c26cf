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

// bearStopped starts cmd and leaves it stopped at its first instruction. ready returns at once, and has it go on
// when the calling thread has ended, which is to be soon.
func (k *Keeper) bearStopped(cmd *exec.Cmd) (ready func(), err error) {
	cmd.SysProcAttr.Pdeathsig = 0
	thread, handle := unix.Gettid(), -1
	err = k.begin(func() error {
		return k.startTraced(cmd, unix.SIGSTOP, func(pid int) (err error) {
			handle, err = unix.PidfdOpen(pid, 0)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return func() { go goOn(handle, thread) }, nil
}

// start starts cmd, and caps its processes where they are to be.
func (k *Keeper) start(cmd *exec.Cmd) error {
	if k.maxProcesses == 0 {
		return cmd.Start()
	}
	if !mayTrace() { // it may have started some by then
		if err := cmd.Start(); err != nil {
			return err
		}
		k.capProcesses(cmd.Process.Pid, false)
		return nil
	}
	return k.startTraced(cmd, 0, func(int) error { return nil })
}

var ptraceScope = "/proc/sys/kernel/yama/ptrace_scope"

// mayTrace says whether the kernel lets the server trace its children (ptrace_scope of Yama in the kernel's
// documentation): hardened machines let nobody, or root alone.
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

// startTraced starts cmd, and calls ready with its number before its first instruction. It then goes on as if it had been sent
// the signal; 0: none.
//
// The command asks to be traced, which stops it as it is executed (ptrace(2)); the trace ends then.
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
		err = fmt.Errorf("it did not begin: %v", status)
	}
	if err == nil {
		capped := make(chan error, 1)
		go func() { capped <- k.capProcesses(pid, false) }() // this thread may be under what refuses it
		if err = <-capped; err == nil {
			err = ready(pid)
		}
	}
	if err == nil {
		_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(pid), 0, uintptr(signal), 0, 0)
		if errno != 0 {
			err = fmt.Errorf("let it go: %w", errno)
		}
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
	return err
}

// goOn lets a stopped process, of which it is given a handle, go on when the thread is no more. Where that does not come
// about the process stays as it is.
func goOn(handle, thread int) {
	defer unix.Close(handle)
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(20 * time.Microsecond) {
		if err := unix.Tgkill(os.Getpid(), thread, 0); errors.Is(err, unix.ESRCH) {
			unix.PidfdSendSignal(handle, unix.SIGCONT, nil, 0)
			return
		}
	}
}
