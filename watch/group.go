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

	"paas/subprocess"
)

// group is a running command, all processes in its process group, and on Linux the descendants that
// have left the group.
type group struct {
	pid   int           // of the command; also the group's number
	ended chan struct{} // closed when the command itself has exited
	state *os.ProcessState

	mu   sync.Mutex
	dead bool // nothing is left in the process group; its number may be reused
}

// startGroup starts cmd as the leader of a new session.
func startGroup(cmd *exec.Cmd) (*group, *startError) {
	cmd.SysProcAttr = subprocess.OwnSession()
	if err := startCommand(cmd); err != nil {
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

// alive reports whether any process is left.
func (g *group) alive() bool { return g.groupAlive() || len(strays(g.pid)) > 0 }

// groupAlive reports whether any process is left in the process group.
func (g *group) groupAlive() bool {
	select {
	case <-g.ended:
	default:
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// The kernel does not reuse the number while a process of the group is left: setpgid(2),
	// fork(2).
	g.dead = g.dead || errors.Is(syscall.Kill(-g.pid, 0), syscall.ESRCH)
	return !g.dead
}

func (g *group) signal(s syscall.Signal) {
	for _, pid := range strays(g.pid) {
		syscall.Kill(pid, s)
	}
	if g.groupAlive() {
		g.mu.Lock()
		defer g.mu.Unlock()
		syscall.Kill(-g.pid, s)
	}
}

// stop sends s to all processes, and SIGKILL to those left after grace. It returns when none is
// left. The error means that a process survived SIGKILL, usually because the kernel waits for a
// broken disk.
func (g *group) stop(s syscall.Signal, grace time.Duration) error {
	const killTimeout = 10 * time.Second
	g.signal(s)
	kill := time.NewTimer(grace)
	defer kill.Stop()
	var giveUp, again <-chan time.Time
	pause, killing := time.Millisecond, false
	for ended := g.ended; ; {
		select {
		case <-ended:
			ended = nil
		case <-again:
			pause = min(2*pause, 20*time.Millisecond)
		case <-kill.C:
			killing = true
			giveUp = time.After(killTimeout)
		case <-giveUp:
			return fmt.Errorf("process group %d survived SIGKILL", g.pid)
		}
		if killing { // again, for what was started meanwhile
			g.signal(syscall.SIGKILL)
		}
		if !g.alive() {
			return nil
		}
		if ended == nil || killing { // the other processes do not notify us
			again = time.After(pause)
		}
	}
}

// describeExit says how the command ended.
func (g *group) describeExit() string {
	if ws, ok := g.state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return "was terminated by signal " + ws.Signal().String()
	}
	return fmt.Sprintf("exited with status %d", g.state.ExitCode())
}

// startError means that a command could not be started.
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
		err = errors.New("exists, but the interpreter that it names does not")
	}
	return fmt.Sprintf("%s: %v", e.cmd.Args[0], err)
}

// status returns the exit status that a shell would use: 127 if the command does not exist, else
// 126.
func (e *startError) status() int {
	if errors.Is(e.err, exec.ErrNotFound) || errors.Is(e.err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
