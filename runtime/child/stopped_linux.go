package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// bearStopped starts cmd and leaves it stopped at its first instruction. ready returns at once, and has it go on
// when the calling thread has ended, which is to be soon.
//
// The command asks to be traced, which stops it as it is executed (ptrace(2)); the trace ends then, and leaves
// a stop behind as of SIGSTOP.
func bearStopped(cmd *exec.Cmd, bear func(*exec.Cmd) error) (ready func(), err error) {
	cmd.SysProcAttr.Ptrace, cmd.SysProcAttr.Pdeathsig = true, 0
	if err := bear(cmd); err != nil {
		return nil, err
	}
	pid, thread := cmd.Process.Pid, unix.Gettid()
	var status unix.WaitStatus
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
		_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(pid), 0, uintptr(unix.SIGSTOP), 0, 0)
		if errno != 0 {
			err = fmt.Errorf("let it go: %w", errno)
		}
	}
	handle := -1
	if err == nil {
		handle, err = unix.PidfdOpen(pid, 0)
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	return func() { go goOn(handle, thread) }, nil
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
