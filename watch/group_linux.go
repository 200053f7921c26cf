package watch

import (
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// startQueue runs functions on one thread that lives as long as the process: the parent-death
// signal is sent when the *thread* that started the command ends (prctl(2)).
var startQueue = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for start := range startQueue {
			start()
		}
	}()
}

func startCommand(cmd *exec.Cmd) error {
	done := make(chan error)
	startQueue <- func() { done <- cmd.Start() }
	return <-done
}

// becomeSubreaper makes orphans our children, so that we can reap them. Otherwise a dead but
// unreaped member would keep a group alive.
func becomeSubreaper() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// reap reaps all exited children except one, whose status os/exec waits for. That one can hide
// others behind it: call reap again when it is gone.
func reap(except int) {
	for {
		// In siginfo_t the pid follows three integers and is aligned like a pointer: waitid(2).
		var info struct {
			signal, errno, code int32
			_                   [0]uintptr
			pid                 int32
			_                   [128]byte
		}
		err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.pid == 0 || int(info.pid) == except {
			return
		}
		unix.Wait4(int(info.pid), nil, unix.WNOHANG, nil)
	}
}
