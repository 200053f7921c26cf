package watch

import (
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attributes make a command the leader of a session, and end it with this process.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// starts are run on one thread that stays as long as the process: the signal that ends a command
// with its parent comes already when the *thread* that started it ends (prctl(2)).
var starts = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
}

func start(cmd *exec.Cmd) error {
	done := make(chan error)
	starts <- func() { done <- cmd.Start() }
	return <-done
}

// adopt makes orphans of the command this process's children, so that a group with a dead but
// unreaped member does not seem to live on.
func adopt() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// reap takes the exit status of every child that has ended but for the one called except, whose
// status os/exec waits for. Such a one hides those behind it: reap again when it is gone.
func reap(except int) {
	for {
		// The pid of siginfo_t comes after three numbers, aligned as a pointer is: waitid(2).
		var info struct {
			signal, errno, code int32
			_                   [0]uintptr
			pid                 int32
			_                   [128]byte
		}
		err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.pid == 0 || int(info.pid) == except {
			return
		}
		unix.Wait4(int(info.pid), nil, unix.WNOHANG, nil)
	}
}
