package child

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"paas/subprocess"
)

// guard is the server's side of a second process of this binary, which waits for a pipe to close.
// If the server dies, even by kill -9, the kernel closes the pipe, and the guard kills everything
// that this run of the server started. A death signal would not reach an orphan that called setsid.
//
// The pipe carries lines: first the id of this run, then +<pid> and -<pid> for session leaders.
type guard struct {
	minder *Minder // has the lines instead of a process; nil: there is a process

	self []string // the command that runs this binary; empty: found at each start of a guard
	root string
	life string
	log  *slog.Logger

	mu     sync.Mutex
	pids   []int
	pipe   *os.File
	cmd    *exec.Cmd
	closed bool
	over   chan struct{} // closed when no guard will run any more
}

// open starts the guard and keeps one running until close.
func (g *guard) open() error {
	g.over = make(chan struct{})
	if g.minder != nil {
		close(g.over)
		return nil
	}
	if err := g.start(); err != nil {
		return err
	}
	go g.keep()
	return nil
}

func (g *guard) start() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	self := g.self
	if len(self) == 0 {
		path, err := subprocess.Program()
		if err != nil {
			return err
		}
		self = []string{path}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.Command(self[0], append(self[1:len(self):len(self)], "guard", g.root)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GOMAXPROCS=1"}
	cmd.Dir = "/" // keep no file system busy
	cmd.Stdin = read
	ready, err := cmd.StdoutPipe()
	if err != nil {
		write.Close()
		return err
	}
	// signals to the server's group must not reach it
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		write.Close()
		return err
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil { // until then a signal would end it
		cmd.Process.Kill()
		cmd.Wait()
		write.Close()
		return fmt.Errorf("guard: %w", err)
	}
	g.cmd, g.pipe = cmd, write
	g.send(g.life)
	for _, pid := range g.pids {
		g.send("+" + strconv.Itoa(pid))
	}
	return nil
}

// keep restarts the guard if it dies, at most once a second.
func (g *guard) keep() {
	defer close(g.over)
	for {
		began := time.Now()
		err := g.cmd.Wait()
		g.mu.Lock()
		g.pipe.Close()
		closed := g.closed
		g.mu.Unlock()
		for !closed {
			g.log.Warn("guard ended; restarting", "err", err)
			time.Sleep(max(0, time.Second-time.Since(began)))
			if err = g.start(); err == nil {
				break
			}
			began = time.Now()
			g.mu.Lock()
			closed = g.closed
			g.mu.Unlock()
		}
		if closed {
			return
		}
	}
}

func (g *guard) add(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pids = append(g.pids, pid)
	g.send("+" + strconv.Itoa(pid))
}

func (g *guard) forget(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pids = slices.DeleteFunc(g.pids, func(p int) bool { return p == pid })
	g.send("-" + strconv.Itoa(pid))
}

func (g *guard) leaders() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.pids)
}

// send writes one line to the guard. A guard that does not read for a second is killed; the next
// one gets all lines.
func (g *guard) send(line string) {
	if g.closed {
		return
	}
	if g.minder != nil {
		g.minder.Tell(line)
		return
	}
	g.pipe.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintln(g.pipe, line); err != nil {
		g.cmd.Process.Kill()
	}
}

// close ends the guard, which looks for processes a last time.
func (g *guard) close() error {
	g.mu.Lock()
	g.closed = true
	var err error
	if g.minder == nil {
		err = g.pipe.Close()
	}
	g.mu.Unlock()
	<-g.over
	return err
}

// GuardMain is the guard process: `paas guard ROOT` with the server's pipe as standard input. It
// blocks until the input ends, then kills what that run of the server left, and nothing else. It
// writes one byte to stdout once signals for the server cannot end it any more.
func GuardMain(stdin io.Reader, stdout io.Writer, root string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	stdout.Write([]byte{'\n'})
	debug.SetGCPercent(10)
	debug.FreeOSMemory()
	lines := bufio.NewScanner(stdin)
	if !lines.Scan() || lines.Text() == "" {
		return
	}
	tree := processTree{mark: rootMark(root) + lines.Text() + "/"}
	DropProgramPages()
	for lines.Scan() {
		pid, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "+"))
		switch {
		case err != nil:
		case pid > 1:
			tree.leaders = append(tree.leaders, pid)
		case pid < -1:
			tree.leaders = slices.DeleteFunc(tree.leaders,
				func(leader int) bool { return leader == -pid })
		}
	}
	tree.kill() // there is nobody to report an error to
}
