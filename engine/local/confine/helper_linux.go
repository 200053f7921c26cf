package confine

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// helperCapabilities are those that the helper keeps in its user namespace. The first process of a
// sandbox has them too, and so no app can look into it, be it of the same user (PTRACE_MODE_FSCREDS
// of ptrace(2)).
var helperCapabilities = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SYS_RESOURCE, unix.CAP_SYS_PTRACE, unix.CAP_SETPCAP}

// Helper runs what [Launcher] starts this binary for, and says whether that is what the arguments
// ask for. It returns when the helper is to end.
func Helper(args []string) bool {
	switch {
	case len(args) == 2 && args[1] == helperArgument:
		serveLauncher()
	case len(args) == 2 && args[1] == holdArgument:
		holdSandbox()
	default:
		return false
	}
	return true
}

// serveLauncher is the helper's own process: it takes requests from its descriptor 3 until that
// ends. It writes to its output, before it closes that, what keeps it from working.
func serveLauncher() {
	const door = 3
	unix.CloseOnExec(door)
	debug.SetGCPercent(20)
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE) // commands have the defaults
	if err := prepareHelper(); err != nil {
		fmt.Println(err)
		return
	}
	if err := closeOutput(); err != nil {
		return
	}
	h := &serving{sandboxes: map[int]int{}}
	buffer, rights := make([]byte, 1), make([]byte, 256)
	for {
		n, size, _, _, err := unix.Recvmsg(door, buffer, rights, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || n == 0:
			return
		}
		messages, err := unix.ParseSocketControlMessage(rights[:size])
		if err != nil || len(messages) != 1 {
			continue
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			continue
		}
		go h.serve(fds)
	}
}

// prepareHelper keeps mounts from spreading to the machine, and what the helper starts from making
// user namespaces in turn: they open more of the kernel than apps need.
func prepareHelper() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return err
	}
	// A command shares the helper's memory until it is executed, and has the rights of the app's
	// other processes by then.
	return Untraceable()
}

type serving struct {
	mu        sync.Mutex
	sandboxes map[int]int // a handle on the first process of each
}

func (h *serving) serve(fds []int) {
	connection := os.NewFile(uintptr(fds[0]), "connection")
	defer connection.Close()
	files := fds[1:]
	closeFiles := func() {
		for _, fd := range files {
			unix.Close(fd)
		}
		files = nil
	}
	defer closeFiles()
	var r request
	if err := gob.NewDecoder(connection).Decode(&r); err != nil {
		return
	}
	if r.Hold {
		wait, err := h.hold(r.Sandbox, files[0])
		closeFiles()
		tell(connection, reply{}, err)
		if err == nil {
			wait()
		}
		return
	}
	done := make(chan struct{})
	go func() { // the thread ends with it: a locked goroutine's is used for nothing else
		defer close(done)
		runtime.LockOSThread()
		answer, err := h.start(r, files)
		closeFiles()
		tell(connection, answer, err)
	}()
	<-done
}

func tell(connection io.Writer, r reply, err error) {
	if err != nil {
		r.Err = err.Error()
	}
	gob.NewEncoder(connection).Encode(r)
}

// hold makes a sandbox; wait returns when that is no more.
func (h *serving) hold(number, life int) (wait func(), err error) {
	said, output, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer said.Close()
	handle := -1
	pid, err := syscall.ForkExec(thisBinary, []string{os.Args[0], holdArgument}, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{uintptr(life), output.Fd()},
		Sys: &syscall.SysProcAttr{
			Setsid: true, PidFD: &handle, AmbientCaps: helperCapabilities,
			Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
		},
	})
	output.Close()
	if err != nil {
		return nil, err
	}
	unix.SetNonblock(handle, true)
	process := os.NewFile(uintptr(handle), "pidfd")
	if problem, err := io.ReadAll(said); err != nil || len(problem) > 0 {
		unix.Kill(pid, unix.SIGKILL)
		awaitEnd(process)
		process.Close()
		return nil, fmt.Errorf("%s", problem)
	}
	h.mu.Lock()
	h.sandboxes[number] = handle
	h.mu.Unlock()
	return func() {
		awaitEnd(process)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.sandboxes, number)
		process.Close()
	}, nil
}

// awaitEnd takes the end of a child, of which it is given a handle. It waits in the poller, where
// wait4(2) would keep a thread.
func awaitEnd(process *os.File) {
	raw, err := process.SyscallConn()
	if err != nil {
		return
	}
	raw.Read(func(fd uintptr) bool {
		for {
			var info unix.Siginfo
			err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG, nil)
			if err != unix.EINTR {
				return err != unix.EAGAIN && (err != nil || info.Signo != 0)
			}
		}
	})
}

// spareProc is where the sandbox's own /proc is until a box has its mounts: to mount one takes a
// process of the sandbox's, and to bind files the one from outside.
const spareProc = "/proc/tty"

// holdSandbox is the first process of a sandbox, until its input ends; then the kernel kills all
// others. The kernel also reaps orphans, as their end is ignored (SIG_IGN in sigaction(2)). To wait
// is left to cat(1), which takes a tenth of the memory.
func holdSandbox() {
	err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	if err == nil {
		err = mount("proc", spareProc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	signal.Ignore(unix.SIGCHLD)
	if err := closeOutput(); err != nil {
		return
	}
	if path, err := exec.LookPath("cat"); err == nil {
		syscall.Exec(path, []string{"sandbox"}, nil)
	}
	io.Copy(io.Discard, os.Stdin)
}

// closeOutput ends the process's output, for those who read it; what it prints from then on goes
// nowhere.
func closeOutput() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return unix.Dup3(int(null.Fd()), int(os.Stdout.Fd()), 0)
}

// start starts a command on the calling thread, which is of no use for anything else then.
func (h *serving) start(r request, files []int) (reply, error) {
	if err := h.enter(r.Sandbox); err != nil {
		return reply{}, fmt.Errorf("enter the sandbox: %w", err)
	}
	if err := r.Box.Enter(nil); err != nil {
		return reply{}, err
	}
	name, err := unix.BytePtrFromString(r.Name)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0)
	}
	if err != nil {
		return reply{}, err
	}
	attr := &syscall.ProcAttr{Dir: r.Dir, Env: r.Env, Sys: &syscall.SysProcAttr{
		Setsid: true, Setctty: r.Setctty, Cloneflags: unix.CLONE_PARENT, Ptrace: r.Trace,
	}}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	pid, err := syscall.ForkExec(r.Path, r.Args, attr)
	if errno, ok := err.(syscall.Errno); ok {
		return reply{Errno: errno}, nil
	}
	return reply{PID: pid}, err
}

// enter puts the calling thread into the sandbox: what it starts is born there.
func (h *serving) enter(sandbox int) error {
	h.mu.Lock()
	defer h.mu.Unlock() // else the handle may be another's
	handle, ok := h.sandboxes[sandbox]
	if !ok {
		return fmt.Errorf("there is none")
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // threads share it, and then none may enter mounts
		return err
	}
	return unix.Setns(handle, unix.CLONE_NEWPID|unix.CLONE_NEWIPC|unix.CLONE_NEWNS)
}
