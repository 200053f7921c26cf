package child

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const getTermios = unix.TCGETS

// ownSession makes cmd the leader of its own session and lets it die with the server. handle is for
// awaitEnd.
//
// Pdeathsig is sent when the *thread* that started the child ends, not the process. Go ends a
// thread when a goroutine that is locked to it returns, and that thread may have started a child
// earlier. So one goroutine, locked to its thread for the life of the server, starts everything:
// see [Keeper.exec]. Grandchildren do not inherit the signal; the guard kills them.
func ownSession(cmd *exec.Cmd) (handle *int) {
	handle = new(-1)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: handle}
	return handle
}

// awaitEnd blocks until cmd has ended but leaves it a zombie, so that its process id is not reused.
// The returned function reaps it and returns its exit status. It waits in Go's poller: os/exec's
// own Wait would keep a thread for each process.
func awaitEnd(cmd *exec.Cmd, handle *int) (wait func() error) {
	ended := func(kind, id, options int) bool {
		for {
			var info unix.Siginfo
			err := unix.Waitid(kind, id, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
			if !errors.Is(err, unix.EINTR) {
				// signo stays zero if nothing has ended yet, see waitid(2)
				return err != nil && !errors.Is(err, unix.EAGAIN) || err == nil && info.Signo != 0
			}
		}
	}
	// a kernel before 5.3, or gVisor and the like
	if *handle < 0 || unix.SetNonblock(*handle, true) != nil {
		ended(unix.P_PID, cmd.Process.Pid, 0)
		return cmd.Wait
	}
	file := os.NewFile(uintptr(*handle), "pidfd")
	defer file.Close()
	raw, err := file.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool { return ended(unix.P_PIDFD, int(fd), unix.WNOHANG) })
	}
	if err != nil { // cannot be polled
		ended(unix.P_PID, cmd.Process.Pid, 0)
	}
	return cmd.Wait
}

// firstThread reports whether the calling thread is the process's first.
func firstThread() bool { return unix.Gettid() == unix.Getpid() }

// closeInherited keeps commands from inheriting the files that the server was started with, beyond
// its three streams, such as a script's lock. Files that Go opens are closed on execve(2) anyway.
func closeInherited() {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil { // Linux 5.11
		return
	}
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, name := range open {
		if fd, err := strconv.Atoi(filepath.Base(name)); err == nil && fd > int(os.Stderr.Fd()) {
			unix.CloseOnExec(fd)
		}
	}
}
