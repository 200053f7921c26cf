package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// group is a running command with all that stays in its process group.
type group struct {
	pid   int           // of the command, and so the group's number
	ended chan struct{} // closed when the command itself has ended
	state *os.ProcessState

	mu   sync.Mutex
	over bool // none was left; the number may be another's by now
}

// startGroup starts cmd as the leader of a session of its own.
func startGroup(cmd *exec.Cmd) (*group, *startError) {
	cmd.SysProcAttr = attributes()
	if err := start(cmd); err != nil {
		return nil, &startError{cmd, err}
	}
	g := &group{pid: cmd.Process.Pid, ended: make(chan struct{})}
	go func() {
		cmd.Wait() // its error is in the state
		g.state = cmd.ProcessState
		close(g.ended)
	}()
	return g, nil
}

// alive says whether any process of the group is left.
func (g *group) alive() bool {
	select {
	case <-g.ended:
	default:
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// No new group gets the number while one of this is left, see setpgid(2) and fork(2).
	g.over = g.over || errors.Is(syscall.Kill(-g.pid, 0), syscall.ESRCH)
	return !g.over
}

func (g *group) signal(s syscall.Signal) {
	if g.alive() {
		g.mu.Lock()
		defer g.mu.Unlock()
		syscall.Kill(-g.pid, s)
	}
}

// stop sends s to the group, SIGKILL to what is left after grace, and returns when nothing is. The
// error says that SIGKILL did not end it either: the kernel holds it, mostly over a dead disk.
func (g *group) stop(s syscall.Signal, grace time.Duration) error {
	const patience = 10 * time.Second
	g.signal(s)
	kill := time.NewTimer(grace)
	defer kill.Stop()
	var giveUp, again <-chan time.Time
	pause := time.Millisecond
	for ended := g.ended; ; {
		select {
		case <-ended:
			ended = nil
		case <-again:
			pause = min(2*pause, 20*time.Millisecond)
		case <-kill.C:
			g.signal(syscall.SIGKILL)
			giveUp = time.After(patience)
		case <-giveUp:
			return fmt.Errorf("process group %d does not end, not even by SIGKILL", g.pid)
		}
		if !g.alive() {
			return nil
		}
		if ended == nil { // the rest tells nobody of its end
			again = time.After(pause)
		}
	}
}

// fate is how the command ended, for people.
func (g *group) fate() string {
	if ws, ok := g.state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return "was ended by signal " + ws.Signal().String()
	}
	return fmt.Sprintf("exited with status %d", g.state.ExitCode())
}

// startError is a command that could not be started.
type startError struct {
	cmd *exec.Cmd
	err error
}

func (e *startError) Unwrap() error { return e.err }

func (e *startError) Error() string {
	err := e.err
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	file := e.cmd.Path
	if !filepath.IsAbs(file) {
		file = filepath.Join(e.cmd.Dir, file)
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		err = errors.New("not found in PATH")
	case errors.Is(err, fs.ErrNotExist) && exists(file):
		err = errors.New("is there, but not the program to run it that it names")
	}
	return fmt.Sprintf("%s: %v", e.cmd.Args[0], err)
}

// status is the exit status for it, as of a shell: 127 where there is no such command, 126 where it
// cannot be run.
func (e *startError) status() int {
	if errors.Is(e.err, exec.ErrNotFound) || errors.Is(e.err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
