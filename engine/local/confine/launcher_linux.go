package confine

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
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
// gives such a server the rights to make mounts (user_namespaces(7)), but a process of several
// threads, as any Go program is, cannot enter one. So a helper, this binary in a namespace of its
// own, does for the server what the server's own threads do where it is root. What it starts is a
// child of the server all the same (CLONE_PARENT of clone(2)).
type Launcher struct {
	Self []string     // the command that runs this binary; default: this binary
	Log  *slog.Logger // default: silence

	thread    chan func() // what is to run on the one thread that is the helper's parent
	mu        sync.Mutex
	helper    *helper // nil: closed
	sandboxes map[string]*Sandbox
	last      int // number of a sandbox
}

// helper is one life of the helper.
type helper struct {
	cmd   *exec.Cmd
	door  *os.File // takes requests; its end ends the helper
	ended chan struct{}
}

// Sandbox is the namespaces that the processes of one app share: the numbers of processes, System
// V's memory and message queues. Each process has mounts of its own in it.
type Sandbox struct {
	of     *Launcher
	helper *helper
	name   string
	number int
	life   *os.File // what is in the sandbox is killed when this is closed, also by the end of the server
	gone   chan struct{}
	users  int // guarded by of.mu
}

// request is what the helper is asked to do. Its files come with it: the connection for the reply
// first.
type request struct {
	Sandbox int
	Hold    bool // make the sandbox; the file is its life

	Name    string // what the command's process is called until it runs
	Box     Box
	Path    string
	Args    []string
	Dir     string
	Env     []string
	Setctty bool // the files are its streams
	Trace   bool // stop it at its first instruction, for the server to let it go
}

type reply struct {
	PID   int
	Errno syscall.Errno // of the command's start
	Err   string
}

// helperArgument is how the binary is told to be the helper, and holdArgument to be the first
// process of a sandbox.
const helperArgument, holdArgument = "launcher", "sandbox"

// thisBinary is what this process executes, wherever that file has gone.
const thisBinary = "/proc/self/exe"

// Open starts the helper. It blocks until that is ready.
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

// on runs f on the thread that is the parent of the helper, and so of what that starts.
func (l *Launcher) on(f func() error) error {
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
	cmd.Dir = "/" // it keeps no file system busy
	cmd.ExtraFiles = []*os.File{theirs}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:      true, // signals to the server's group are not for it
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: helperCapabilities,
	}
	if err := l.on(cmd.Start); err != nil {
		ours.Close()
		if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			err = pathErr.Err // clone(2) refused it, not the path
		}
		return err
	}
	h := &helper{cmd: cmd, door: ours, ended: make(chan struct{})}
	said, err := io.ReadAll(output)
	if err != nil {
		said = []byte(err.Error())
	}
	if len(said) > 0 {
		ours.Close()
		cmd.Wait()
		return errors.New(strings.TrimSpace(string(said)))
	}
	go func() {
		cmd.Wait()
		close(h.ended)
	}()
	l.helper, l.sandboxes = h, map[string]*Sandbox{}
	return nil
}

// Close ends the helper, and what is left in sandboxes.
func (l *Launcher) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.helper == nil {
		return
	}
	for _, s := range l.sandboxes {
		s.life.Close()
	}
	l.helper.door.Close()
	<-l.helper.ended
	l.helper = nil
	close(l.thread)
}

// Sandbox is the sandbox of that name, made where there is none. It lasts until Leave was called as
// often.
func (l *Launcher) Sandbox(name string) (*Sandbox, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.helper == nil {
		return nil, errors.New("the server is stopping")
	}
	if isClosed(l.helper.ended) { // killed for want of memory, say
		l.Log.Warn("what starts apps' processes has ended; restarting it")
		l.helper.door.Close()
		if err := l.open(); err != nil {
			return nil, err
		}
	}
	if s := l.sandboxes[name]; s != nil && !isClosed(s.gone) {
		s.users++
		return s, nil
	}
	theirs, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	l.last++
	s := &Sandbox{of: l, helper: l.helper, name: name, number: l.last, life: life, gone: make(chan struct{}), users: 1}
	connection, err := s.helper.ask(request{Sandbox: s.number, Hold: true}, theirs)
	if err == nil {
		_, err = answer(connection)
	}
	if err != nil {
		life.Close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	go func() { // the helper keeps its end for as long as there is the sandbox
		io.Copy(io.Discard, connection)
		connection.Close()
		close(s.gone)
	}()
	l.sandboxes[name] = s
	return s, nil
}

// Leave says that the caller needs the sandbox no more. With the last, what is left in it is
// killed.
func (s *Sandbox) Leave() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	s.life.Close()
	if s.of.sandboxes[s.name] == s {
		delete(s.of.sandboxes, s.name)
	}
}

// In has the box's commands run in the sandbox.
func (b *Box) In(s *Sandbox) { b.in = s }

// ask sends a request with its files, and returns the connection on which the reply comes.
func (h *helper) ask(r request, files ...*os.File) (*os.File, error) {
	ours, theirs, err := socketPair(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer unix.Close(theirs)
	fds := []int{theirs}
	for _, f := range files {
		fds = append(fds, int(f.Fd())) // which makes it blocking, as commands expect
	}
	err = unix.Sendmsg(int(h.door.Fd()), []byte{0}, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
	if err == nil {
		err = gob.NewEncoder(ours).Encode(r)
	}
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("what starts apps' processes does not answer: %w", err)
	}
	return ours, nil
}

func answer(connection io.Reader) (r reply, err error) {
	if err := gob.NewDecoder(connection).Decode(&r); err != nil {
		return r, fmt.Errorf("what starts apps' processes has ended: %w", err)
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
