package child

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownSession makes cmd the leader of a session of its own, and a child that dies with the server.
// The handle is for awaitEnd.
//
// Pdeathsig is sent when the *thread* that started the child ends, not the process, and Go ends a
// thread when a goroutine locked to it returns, whose thread may have started our child earlier.
// So one goroutine, locked to its thread for the life of the server, starts everything: see
// [Keeper.exec]. The grandchildren do not inherit the signal; they are the guard's.
func ownSession(cmd *exec.Cmd) (handle *int) {
	handle = new(int)
	*handle = -1
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: handle}
	return handle
}

// awaitEnd blocks until cmd has ended, but leaves it a zombie, whose number nobody else is given;
// the returned function then takes its exit status. It waits in the poller: os/exec's own wait
// would keep a thread for each process.
func awaitEnd(cmd *exec.Cmd, handle *int) (wait func() error) {
	ended := func(kind, id, options int) bool {
		for {
			var info unix.Siginfo
			err := unix.Waitid(kind, id, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
			if !errors.Is(err, unix.EINTR) {
				// Signo stays zero where nothing ended yet, see waitid(2).
				return err != nil && !errors.Is(err, unix.EAGAIN) || err == nil && info.Signo != 0
			}
		}
	}
	if *handle < 0 || unix.SetNonblock(*handle, true) != nil { // a kernel before 5.3, or an imitation of one
		ended(unix.P_PID, cmd.Process.Pid, 0)
		return cmd.Wait
	}
	file := os.NewFile(uintptr(*handle), "pidfd")
	defer file.Close()
	raw, err := file.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool { return ended(unix.P_PIDFD, int(fd), unix.WNOHANG) })
	}
	if err != nil { // not a file to be polled
		ended(unix.P_PID, cmd.Process.Pid, 0)
	}
	return cmd.Wait
}

// firstThread says whether the calling thread is the process's first.
func firstThread() bool { return unix.Gettid() == unix.Getpid() }
