package confine

import (
	"encoding/gob"
	"errors"
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

	"paas/builder/cmdline"
)

// helperCapabilities are the capabilities that the helper keeps in its user namespace. The first
// process of a sandbox has them too, so that no app of the same user can trace it
// (PTRACE_MODE_FSCREDS of ptrace(2)).
var helperCapabilities = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SYS_RESOURCE, unix.CAP_SYS_PTRACE,
	unix.CAP_SETPCAP,
}

// Helper runs the helper process of a [Launcher] if the arguments ask for it, and reports whether
// they do. It returns when the helper must end.
func Helper(args []string) bool {
	switch {
	case len(args) == 2 && args[1] == helperArgument:
		serveLauncher()
	case len(args) == 2 && args[1] == sandboxArgument:
		runSandbox()
	default:
		return false
	}
	return true
}

// serveLauncher is the helper process. It serves requests from descriptor 3 until that is closed.
// If it cannot work it prints why; then it closes its output.
func serveLauncher() {
	const requests = 3
	unix.CloseOnExec(requests)
	debug.SetGCPercent(20)
	// commands get the default actions
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT,
		unix.SIGPIPE)
	if err := prepareHelper(); err != nil {
		fmt.Println(err)
		return
	}
	if err := closeOutput(); err != nil {
		return
	}
	h := &helperServer{sandboxes: map[int]int{}}
	buffer, rights := make([]byte, 1), make([]byte, 256)
	for {
		n, size, _, _, err := unix.Recvmsg(requests, buffer, rights, unix.MSG_CMSG_CLOEXEC)
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

// prepareHelper keeps mounts from spreading to the machine. It also keeps commands from making user
// namespaces, which expose more of the kernel than apps need.
func prepareHelper() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	if err := ownRoot(); err != nil { // sandboxes inherit it
		return err
	}
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return err
	}
	// before execve a command shares the helper's memory but already has the rights of the app's
	// other processes
	return Untraceable()
}

// helperServer serves the requests of a [Launcher].
type helperServer struct {
	mu        sync.Mutex
	sandboxes map[int]int // number of a sandbox -> pidfd of its first process
}

func (h *helperServer) serve(fds []int) {
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
	if r.Create {
		wait, err := h.create(r.Sandbox, files[0])
		closeFiles()
		send(connection, reply{}, err)
		if err == nil {
			wait()
		}
		return
	}
	done := make(chan struct{})
	go func() { // its thread ends with it because the goroutine stays locked
		defer close(done)
		runtime.LockOSThread()
		answer, err := h.start(r, files)
		closeFiles()
		send(connection, answer, err)
	}()
	<-done
}

func send(connection io.Writer, r reply, err error) {
	if err != nil {
		r.Err = err.Error()
	}
	gob.NewEncoder(connection).Encode(r)
}

// create makes a sandbox. wait blocks until that is gone.
func (h *helperServer) create(number, life int) (wait func(), err error) {
	problems, output, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer problems.Close()
	handle := -1
	pid, err := syscall.ForkExec(thisBinary, []string{os.Args[0], sandboxArgument},
		&syscall.ProcAttr{
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
	if problem, err := io.ReadAll(problems); err != nil || len(problem) > 0 {
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

// awaitEnd reaps a child, given by its pidfd. It waits in Go's poller; wait4(2) would keep a
// thread.
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

// spareProc is where the sandbox's own /proc is mounted until a box has its mounts: only a process
// of the sandbox can mount it, and only one from outside can bind files.
const spareProc = "/proc/tty"

// runSandbox is the first process of a sandbox. It runs until its input ends; then the kernel kills
// all others. It ignores SIGCHLD, so the kernel reaps orphans (SIG_IGN in sigaction(2)). cat(1)
// does the waiting, in a tenth of the memory.
func runSandbox() {
	err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	if err == nil {
		err = mount("proc", spareProc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	signal.Ignore(unix.SIGCHLD)
	// This process cannot be entered while it executes cat: its first thread is gone, and the
	// calling one has not yet taken that one's place. So its output ends when cat runs.
	output, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err == nil {
		err = closeOutput()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	if path, err := exec.LookPath("cat"); err == nil {
		syscall.Exec(path, []string{"sandbox"}, nil)
	}
	unix.Close(output)
	io.Copy(io.Discard, os.Stdin)
}

// closeOutput ends the process's output for its readers, unless it has a copy of the descriptor.
// Later output is discarded.
func closeOutput() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return unix.Dup3(int(null.Fd()), int(os.Stdout.Fd()), 0)
}

// start starts a command on the calling thread, which must not be used for anything else.
func (h *helperServer) start(r request, files []int) (reply, error) {
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
	cmd := &exec.Cmd{Path: r.Path, Args: r.Args, Env: r.Env, Dir: r.Dir}
	if err := cmdline.Find(cmd); err != nil {
		return reply{NotFound: notFound(err)}, nil
	}
	attr := &syscall.ProcAttr{Dir: r.Dir, Env: r.Env, Sys: &syscall.SysProcAttr{
		Setsid: true, Setctty: r.Setctty, Cloneflags: unix.CLONE_PARENT, Ptrace: r.Trace,
	}}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	pid, err := syscall.ForkExec(cmd.Path, r.Args, attr)
	if errno, ok := err.(syscall.Errno); ok {
		return reply{Errno: errno}, nil
	}
	return reply{PID: pid}, err
}

// enter moves the calling thread into the sandbox, and so what it starts.
func (h *helperServer) enter(sandbox int) error {
	h.mu.Lock()
	defer h.mu.Unlock() // keeps the pidfd open
	handle, ok := h.sandboxes[sandbox]
	if !ok {
		return errors.New("it does not exist")
	}
	// else no thread may enter a mount namespace
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(handle, unix.CLONE_NEWPID|unix.CLONE_NEWIPC|unix.CLONE_NEWNS)
}
