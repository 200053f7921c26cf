package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paas/builder/cmdline"
	"paas/terminal"
)

// Command describes what to run.
type Command struct {
	Name string   // for people: "npm ci"; part of the [Marker]
	Argv []string // the first word is looked up in Env's PATH, where the command runs
	Dir  string
	Env  map[string]string // the whole environment, except for the Marker
	Out  io.Writer         // standard output and error, in order; called from one goroutine
	Err  io.Writer         // standard error, called from another goroutine; nil: use Out
	Gone func()            // called when no process is left, before Done closes; nil: not called

	// In is the standard input until io.EOF; nil: empty. A Read may still be blocked after Done.
	In io.Reader
	// Under confines the command and all it starts. Each is entered in this order.
	Under []Confinement
	// Terminal makes all three streams a terminal. Err is then unused, and the end of In is Ctrl-D.
	Terminal *terminal.Terminal
	// Signals are sent to the command's process group; nil: none.
	Signals   <-chan syscall.Signal
	MaxMemory int64 // bytes for the command and all it starts, if [CapsMemory]; 0: no limit
	// Background lowers the priority of the command and all it starts, for processors and disks
	// (Linux only).
	Background bool
}

// Child is a running command with everything that it starts: a process of an app, a step of a
// build, or a one-off command. It leads its own session. However it ends, it leaves no process
// behind.
type Child struct {
	name       string
	cmd        *exec.Cmd
	streams    streams
	stopSignal unix.Signal   // asks the command to end
	exited     chan struct{} // closed when the command itself has ended
	done       chan struct{}
	err        error // how it ended; set before done closes

	mu       sync.Mutex
	tree     processTree
	waited   bool      // the process id may belong to another process now
	holders  []process // owners of sockets that [Child.Holds] has found
	deadline time.Time // when to kill what is left; zero: Stop was not called
	over     error     // an [Overuse] that it was stopped for, or nil
}

// Start starts c and does not wait for it. The server is not a subreaper (prctl(2)): it finds
// orphans by their Marker, and reaping them would need a wait for any child, which would take
// children from os/exec. If the server is the first process of a container, [First] is its parent.
func (k *Keeper) Start(c Command) (*Child, error) {
	mark := k.newMark(c.Name)
	c.move()
	env := maps.Clone(c.Env)
	env[Marker] = mark
	ch := &Child{
		name: c.Name, tree: processTree{mark: mark}, stopSignal: unix.SIGTERM,
		exited: make(chan struct{}), done: make(chan struct{}),
	}
	if c.Terminal != nil {
		env["TERM"] = terminal.CheckType(c.Terminal.Type)
		// as for a closed terminal; an interactive shell ignores SIGTERM
		ch.stopSignal = unix.SIGHUP
	}
	ch.cmd = &exec.Cmd{Args: c.Argv, Dir: c.Dir, Env: cmdline.Environ(env)}
	handle := ownSession(ch.cmd)
	if err := ch.streams.open(c, ch.cmd); err != nil {
		return nil, err
	}
	err := k.exec(ch.cmd, c.Under, ch.done)
	ch.streams.started()
	if err != nil {
		close(ch.done)
		ch.streams.close()
		return nil, fmt.Errorf("%s: %w", c.Argv[0], bareError(err))
	}
	ch.tree.leaders = []int{ch.cmd.Process.Pid}
	k.guard.add(ch.cmd.Process.Pid)
	if c.Background {
		ch.toBackground()
	}
	if c.Terminal != nil || c.Signals != nil {
		go ch.forward(c)
	}
	if c.MaxMemory > 0 && CapsMemory {
		go ch.watchMemory(c.MaxMemory)
	}
	go func() {
		ch.supervise(handle, c, k)
		if c.Gone != nil {
			c.Gone()
		}
		close(ch.done)
	}()
	return ch, nil
}

// supervise blocks until the command has ended and none of its processes is left.
func (c *Child) supervise(handle *int, command Command, k *Keeper) {
	copied := c.streams.copy(command)
	wait := awaitEnd(c.cmd, handle)
	close(c.exited)
	c.awaitRest()
	if err := c.processes().kill(); err != nil {
		k.Log.Error("processes left behind", "command", c.name, "err", err)
	}
	k.guard.forget(c.cmd.Process.Pid) // else it would kill the next process with this id
	c.mu.Lock()
	c.err = c.why(wait(), command, k) // frees the process id, by which the rest was found
	c.waited = true
	c.mu.Unlock()
	c.streams.finish() // an escaped process may hold the other ends open
	copied()
	c.streams.close()
}

// why adds a lack of memory to err, how the command ended. An overuse that a control group reports
// counts only if the command failed: another of its processes may have been killed.
func (c *Child) why(err error, command Command, k *Keeper) error {
	over := c.over
	failed := c.deadline.IsZero() && err != nil // without Stop
	if failed && over == nil {
		over = overuse(command.Under)
	}
	byKernel := failed && killed(err) && k.oomKilled(c.cmd.Process.Pid)
	switch {
	case over != nil && err != nil:
		return fmt.Errorf("%w: %w", err, over)
	case over != nil:
		return over
	case byKernel:
		return fmt.Errorf("%w: the server ran out of memory, or a limit from outside it", err)
	}
	return err
}

// killed reports whether err is the end of a command by SIGKILL.
func killed(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL // else -1 or another
}

// forward passes signals and changes of the terminal's size to the command.
func (c *Child) forward(command Command) {
	var sizes <-chan terminal.Size
	if command.Terminal != nil {
		sizes = command.Terminal.Resized
	}
	for {
		select {
		case <-c.done:
			return
		case size, open := <-sizes:
			if !open {
				sizes = nil
				continue
			}
			setSize(c.streams.out, size) // an error means that the terminal is gone
		case sig, open := <-command.Signals:
			if !open {
				command.Signals = nil
				continue
			}
			c.mu.Lock()
			if !c.waited {
				unix.Kill(-c.cmd.Process.Pid, sig)
			}
			c.mu.Unlock()
		}
	}
}

// awaitRest gives the other processes the time that Stop gave the command itself: a shell that
// started two servers ends first. Without Stop they get none.
func (c *Child) awaitRest() {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		c.mu.Lock()
		deadline := c.deadline
		c.mu.Unlock()
		if !time.Now().Before(deadline) || len(c.processes().find()) == 0 {
			return
		}
		time.Sleep(pause)
	}
}

// Stop sends SIGTERM to all processes (SIGHUP each second if there is a terminal) and SIGKILL to
// those left after grace. It blocks until none is left. Of several calls the shortest grace counts.
func (c *Child) Stop(grace time.Duration) {
	deadline := time.Now().Add(grace)
	c.mu.Lock()
	first := c.deadline.IsZero()
	if first || deadline.Before(c.deadline) {
		c.deadline = deadline
	}
	c.mu.Unlock()
	if first {
		c.signal(c.stopSignal)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	var again <-chan time.Time
	if first && c.stopSignal == unix.SIGHUP { // a shell misses one that comes as it begins to read
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		again = ticker.C
	}
	for {
		select {
		case <-c.done:
			return
		case <-again:
			c.signal(unix.SIGHUP)
		case <-timer.C:
			c.signal(unix.SIGKILL) // supervise kills the rest, after the command itself
			<-c.done
			return
		}
	}
}

// signal reaches the command's process group and the processes that left it, each once: for many
// programs a second SIGTERM means "at once".
func (c *Child) signal(sig unix.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waited { // else the id may belong to another process
		group := c.cmd.Process.Pid
		c.tree.known = c.tree.find() // some can only be found while their parents live
		unix.Kill(-group, sig)
		for _, p := range c.tree.known {
			if p.group != group {
				p.signal(sig)
			}
		}
	}
}

// PID returns the command's process id, which is also the id of its group and session.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Exited is closed as soon as the command itself has ended. Done follows a moment later, or up to a
// second on a busy machine.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Done is closed when none of the command's processes is left and its output was read to the end.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err returns how the command ended ("exit status 1", "signal: killed"), or nil for status 0. Valid
// after Done.
func (c *Child) Err() error { return c.err }

// Listening returns where the command's processes listen for TCP: "3000" for any address or
// 127.0.0.1, "[::1]:3000" for others. It is empty if that is unknown.
func (c *Child) Listening() []string { return listening(c.PID()) }

// Holds reports whether the socket with this inode is open in a process of the command or, if that
// runs in a PID namespace of its own, in one of that namespace. It is false on systems other than
// Linux and after the command has ended. It can take some milliseconds.
func (c *Child) Holds(inode uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waited { // the ids may belong to other processes
		return false
	}
	if _, ok := holder(c.holders, inode); ok { // probably the owner of an earlier socket
		return true
	}
	p, ok := holder(c.tree.find(), inode)
	if !ok {
		p, ok = holder(sameNamespace(c.cmd.Process.Pid), inode)
	}
	if ok {
		if len(c.holders) >= maxHolders {
			c.holders = nil
		}
		c.holders = append(c.holders, p)
	}
	return ok
}

const maxHolders = 64 // then start again without those that have ended

func (c *Child) processes() processTree {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tree
}

// Run runs c until it ends, or kills it when ctx ends. The error says how it ended, as [Child.Err]
// does, or is ctx's cause.
func (k *Keeper) Run(ctx context.Context, c Command) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ch, err := k.Start(c)
	if err != nil {
		return err
	}
	select {
	case <-ch.done:
		return ch.err
	case <-ctx.Done():
		ch.Stop(0)
		return context.Cause(ctx)
	}
}

// newMark returns the Marker's value for a new command.
func (k *Keeper) newMark(name string) string {
	name = strings.Map(func(r rune) rune {
		if cmdline.PlainByte(byte(r)) && r < 0x80 && r != '/' {
			return r
		}
		return '-'
	}, name)
	return k.lifeMark() + name + "." + randomID() + "/"
}

// bareError returns err without the path, which the caller adds.
func bareError(err error) error {
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}
