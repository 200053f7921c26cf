package confine

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Launcher starts commands in sandboxes, for a server that is an ordinary user. A user namespace
// gives such a server the right to mount (user_namespaces(7)), but a process with several threads,
// as every Go program is, cannot enter one. So a helper, this binary in its own namespace, does
// what the server's own threads do if it is root. What the helper starts is nevertheless a child of
// the server (CLONE_PARENT of clone(2)).
type Launcher struct {
	Self []string     // the command that runs this binary; default: this binary
	Log  *slog.Logger // default: none

	thread    chan func() // functions for the thread that is the helper's parent
	mu        sync.Mutex
	helper    *helper // nil: closed
	sandboxes map[string]*Sandbox
	last      int // the last sandbox's number
}

// helper is a helper process.
type helper struct {
	cmd      *exec.Cmd
	requests *os.File // socket; closing it ends the helper
	ended    chan struct{}
}

// Sandbox holds the namespaces that the processes of one app share: process ids and System V IPC.
// Each process has its own mounts in it.
type Sandbox struct {
	launcher *Launcher
	helper   *helper
	name     string
	number   int
	alive    *os.File // a pipe; when it is closed, as by the server's end, the sandbox is killed
	gone     chan struct{}
	users    int // guarded by launcher.mu
}

// request asks the helper for something. Its files are sent with it, the connection for the reply
// first.
type request struct {
	Sandbox int
	Create  bool // make the sandbox; the file is its input

	Name    string // the process's name until it executes the command
	Box     Box
	Path    string // empty: looked up
	Args    []string
	Dir     string
	Env     []string
	Setctty bool
	Trace   bool // stop at the first instruction, until the server continues it
}

type reply struct {
	PID      int
	NotFound *noProgram    // why there is no program to execute
	Errno    syscall.Errno // why the command could not be executed
	Err      string
}

// noProgram is the error of [cmdline.Find], in a form that can be sent.
type noProgram struct {
	Text   string
	Denied bool // else there is none
}

func notFound(err error) *noProgram {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	return &noProgram{err.Error(), errors.Is(err, fs.ErrPermission)}
}

// Error implements error.
func (n *noProgram) Error() string { return n.Text }

// Is reports which kind of error it is.
func (n *noProgram) Is(kind error) bool {
	return n.Denied && kind == fs.ErrPermission || !n.Denied && kind == fs.ErrNotExist
}

// helperArgument makes this binary the helper, sandboxArgument the first process of a sandbox.
const helperArgument, sandboxArgument = "launcher", "sandbox"

// thisBinary is the running binary, even if its file has been moved.
const thisBinary = "/proc/self/exe"

// Open starts the helper and blocks until it is ready.
func (l *Launcher) Open() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	l.thread = make(chan func())
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range l.thread {
			f()
		}
	}()
	if err := l.open(); err != nil {
		close(l.thread)
		return err
	}
	return nil
}

// onThread runs f on the thread that is the parent of the helper and of what that starts.
func (l *Launcher) onThread(f func() error) error {
	result := make(chan error, 1)
	l.thread <- func() { result <- f() }
	return <-result
}

func (l *Launcher) open() error {
	ours, theirFD, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return err
	}
	theirs := os.NewFile(uintptr(theirFD), "launcher")
	defer theirs.Close()
	self := l.Self
	if len(self) == 0 {
		self = []string{thisBinary}
	}
	cmd := exec.Command(self[0], append(self[1:len(self):len(self)], helperArgument)...)
	if len(l.Self) == 0 {
		cmd.Args[0] = os.Args[0]
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GOMAXPROCS=2"}
	cmd.Dir = "/" // keep no file system busy
	cmd.ExtraFiles = []*os.File{theirs}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:      true, // signals to the server's group must not reach it
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: helperCapabilities,
	}
	if err := l.onThread(cmd.Start); err != nil {
		ours.Close()
		if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			err = pathErr.Err // from clone(2), not about the path
		}
		return err
	}
	h := &helper{cmd: cmd, requests: ours, ended: make(chan struct{})}
	problem, err := io.ReadAll(output)
	if err != nil {
		problem = []byte(err.Error())
	}
	if len(problem) > 0 {
		ours.Close()
		cmd.Wait()
		return errors.New(strings.TrimSpace(string(problem)))
	}
	go func() {
		cmd.Wait()
		close(h.ended)
	}()
	l.helper, l.sandboxes = h, map[string]*Sandbox{}
	return nil
}

// Close ends the helper and kills what is left in sandboxes.
func (l *Launcher) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.helper == nil {
		return
	}
	for _, s := range l.sandboxes {
		s.alive.Close()
	}
	l.helper.requests.Close()
	<-l.helper.ended
	l.helper = nil
	close(l.thread)
}

// Sandbox returns the sandbox of that name, and makes it if needed. It lasts until Leave has been
// called as often as Sandbox.
func (l *Launcher) Sandbox(name string) (*Sandbox, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.helper == nil {
		return nil, errors.New("the server is stopping")
	}
	if isClosed(l.helper.ended) { // such as killed for lack of memory
		l.Log.Warn("sandbox helper ended; restarting")
		l.helper.requests.Close()
		if err := l.open(); err != nil {
			return nil, err
		}
	}
	if s := l.sandboxes[name]; s != nil && !isClosed(s.gone) {
		s.users++
		return s, nil
	}
	theirs, alive, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	l.last++
	s := &Sandbox{
		launcher: l, helper: l.helper, name: name, number: l.last, alive: alive,
		gone: make(chan struct{}), users: 1,
	}
	connection, err := s.helper.send(request{Sandbox: s.number, Create: true}, theirs)
	if err == nil {
		_, err = receive(connection)
	}
	if err != nil {
		alive.Close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	go func() { // the helper keeps its end open as long as the sandbox exists
		io.Copy(io.Discard, connection)
		connection.Close()
		close(s.gone)
	}()
	l.sandboxes[name] = s
	return s, nil
}

// Leave ends one use of the sandbox. The last one kills what is left in it.
func (s *Sandbox) Leave() {
	s.launcher.mu.Lock()
	defer s.launcher.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	s.alive.Close()
	if s.launcher.sandboxes[s.name] == s {
		delete(s.launcher.sandboxes, s.name)
	}
}

// In makes the box's commands run in the sandbox.
func (b *Box) In(s *Sandbox) { b.sandbox = s }

// send sends a request with its files, and returns the connection for the reply.
func (h *helper) send(r request, files ...*os.File) (*os.File, error) {
	ours, theirs, err := socketPair(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer unix.Close(theirs)
	fds := []int{theirs}
	for _, f := range files {
		fds = append(fds, int(f.Fd())) // Fd makes it blocking, as commands expect
	}
	err = unix.Sendmsg(int(h.requests.Fd()), []byte{0}, unix.UnixRights(fds...), nil,
		unix.MSG_NOSIGNAL)
	if err == nil {
		err = gob.NewEncoder(ours).Encode(r)
	}
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("the sandbox helper does not answer: %w", err)
	}
	return ours, nil
}

func receive(connection io.Reader) (r reply, err error) {
	if err := gob.NewDecoder(connection).Decode(&r); err != nil {
		return r, fmt.Errorf("the sandbox helper has ended: %w", err)
	}
	if r.Err != "" {
		err = errors.New(r.Err)
	}
	return r, err
}

func socketPair(kind int) (ours *os.File, theirs int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	return os.NewFile(uintptr(fds[0]), "launcher"), fds[1], nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
