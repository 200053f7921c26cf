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

// Command is what a child is to run.
type Command struct {
	Name string   // for people: "npm ci"; and, made fit for it, in the marker
	Argv []string // its first word is looked up in Env's PATH
	Dir  string
	Env  map[string]string // all of it, but for the marker
	Out  io.Writer         // both streams, in the order they came; called from one goroutine
	Err  io.Writer         // standard error, from another goroutine; nil: it goes to Out
	In   io.Reader         // standard input, up to io.EOF; a Read may still be blocked when the child is done; nil: empty
	Gone func()            // called when nothing of it is left, before Done closes; nil: nothing to do

	// Under is what the command is born under, and all it starts after it, entered in this order.
	Under []Confinement
	// Terminal, where it is set, is all three streams: the command talks to a person, and Err is not
	// used. In's end is then Ctrl-D.
	Terminal *terminal.Terminal
	// Signals are sent to the command's process group; nil: none.
	Signals   <-chan syscall.Signal
	MaxMemory int64 // bytes that it and all it starts may use, where [CapsMemory]; 0: no cap
	// Background has it, and all it starts, leave processors and disks to whatever else wants them (Linux).
	Background bool
}

// Child is one running command with everything it starts: a process of an app, or a step of a
// build, or what a person runs once. It is the leader of a session of its own, and leaves nothing
// behind, however it ends.
type Child struct {
	name    string
	cmd     *exec.Cmd
	streams streams
	goodbye unix.Signal   // what asks it to end
	exited  chan struct{} // closed when the command itself has ended
	done    chan struct{}
	err     error // how it ended; after done

	mu       sync.Mutex
	kin      kin
	waited   bool       // its number may be another's by now
	holders  []relative // of sockets, as [Child.Holds] last found them
	deadline time.Time  // when what is left is killed; zero: nobody asked it to stop
	over     error      // what it was ended for; nil: not for its memory
}

// Start starts c. The server is not made a subreaper (prctl(2)): orphans are found by their
// Marker, and reaping them would need a wait for any child, which takes os/exec's from it. A
// server that is the first process of a container has [First] above it.
func (k *Keeper) Start(c Command) (*Child, error) {
	path, err := cmdline.LookPath(c.Argv[0], c.Env["PATH"], c.Dir)
	if err != nil {
		return nil, err
	}
	mark := k.newMark(c.Name)
	env := maps.Clone(c.Env)
	env[Marker] = mark
	ch := &Child{
		name:    c.Name,
		kin:     kin{mark: mark},
		goodbye: unix.SIGTERM,
		exited:  make(chan struct{}),
		done:    make(chan struct{}),
	}
	if c.Terminal != nil {
		env["TERM"] = terminal.CheckType(c.Terminal.Type)
		ch.goodbye = unix.SIGHUP // as when a terminal goes away; shells ignore SIGTERM there
	}
	ch.cmd = &exec.Cmd{Path: path, Args: c.Argv, Dir: c.Dir, Env: cmdline.Environ(env)}
	handle := ownSession(ch.cmd)
	if err := ch.streams.open(c, ch.cmd); err != nil {
		return nil, err
	}
	err = k.exec(ch.cmd, c.Under, ch.done)
	ch.streams.started()
	if err != nil {
		close(ch.done)
		ch.streams.close()
		return nil, fmt.Errorf("%s: %w", c.Argv[0], bareError(err))
	}
	ch.kin.leaders = []int{ch.cmd.Process.Pid}
	k.guard.add(ch.cmd.Process.Pid)
	if c.Background {
		ch.lower()
	}
	if c.Terminal != nil || c.Signals != nil {
		go ch.heed(c)
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

// supervise blocks until the command has ended and nothing of it is left.
func (c *Child) supervise(handle *int, command Command, k *Keeper) {
	copied := c.streams.copy(command)
	wait := awaitEnd(c.cmd, handle)
	close(c.exited)
	c.awaitRest()
	if err := c.family().kill(); err != nil {
		k.Log.Error("left behind", "command", c.name, "err", err)
	}
	k.guard.forget(c.cmd.Process.Pid) // or it would end who is given the number next
	c.mu.Lock()
	c.err = c.why(wait(), command, k) // only now is the number free, by which the rest was found
	c.waited = true
	c.mu.Unlock()
	c.streams.finish() // what got away may still hold the other ends
	copied()
	c.streams.close()
}

// why is err, how the command ended, with the want of memory that was behind it. What a control group tells
// of is another process of the command's, where that made it end.
func (c *Child) why(err error, command Command, k *Keeper) error {
	over := c.over
	unasked := c.deadline.IsZero() && err != nil
	if unasked && over == nil {
		over = overuse(command.Under)
	}
	byKernel := unasked && killed(err) && k.oomKilled(c.cmd.Process.Pid)
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

// killed says whether err is the end of a command by SIGKILL.
func killed(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// heed passes on what a person does to the command while it runs.
func (c *Child) heed(command Command) {
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
			setSize(c.streams.out, size) // of a terminal that is gone, it does not matter
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

// awaitRest gives what the command leaves behind the time it was itself given to stop: where a
// shell starts two servers, it is the first of the three to go. Unasked, it gives none.
func (c *Child) awaitRest() {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		c.mu.Lock()
		deadline := c.deadline
		c.mu.Unlock()
		if !time.Now().Before(deadline) || len(c.family().find()) == 0 {
			return
		}
		time.Sleep(pause)
	}
}

// Stop sends SIGTERM to all of it (SIGHUP where it has a terminal), SIGKILL to what is left after
// grace, and returns when nothing is. Called again, the shorter grace counts.
func (c *Child) Stop(grace time.Duration) {
	deadline := time.Now().Add(grace)
	c.mu.Lock()
	first := c.deadline.IsZero()
	if first || deadline.Before(c.deadline) {
		c.deadline = deadline
	}
	c.mu.Unlock()
	if first {
		c.signal(c.goodbye)
	}
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-c.done:
	case <-patience.C:
		c.signal(unix.SIGKILL) // supervise does the rest, once the command itself is gone
		<-c.done
	}
}

// signal reaches the command's process group and what left it, each once: to many programs a second
// SIGTERM means "at once".
func (c *Child) signal(sig unix.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waited { // else the number may be another's
		group := c.cmd.Process.Pid
		c.kin.known = c.kin.find() // while parents live by which some are found
		unix.Kill(-group, sig)
		for _, p := range c.kin.known {
			if p.group != group {
				p.signal(sig)
			}
		}
	}
}

// PID is the command's own process id, its group's and its session's.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Exited is closed as soon as the command itself has ended. Done follows, a moment later or, on a
// busy machine, a second.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Done is closed when nothing of the command is left and its output was read to the end.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says after Done how the command ended ("exit status 1", "signal: killed"); nil for status 0.
func (c *Child) Err() error { return c.err }

// Listening is where the command and its kin listen for TCP: "3000" for any or the usual loopback
// address, "[::1]:3000" for others. Empty where that is not to be found out.
func (c *Child) Listening() []string { return listening(c.PID()) }

// Holds reports whether the command, what it started, or what shares a PID namespace of its own with it, has the socket
// open that has this inode. It is false on systems other than Linux, and once the command has ended. It may take some milliseconds.
func (c *Child) Holds(inode uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waited { // the numbers may be others' by now
		return false
	}
	if _, ok := holder(c.holders, inode); ok { // most likely it is one of those who had the one before
		return true
	}
	p, ok := holder(c.kin.find(), inode)
	if !ok {
		p, ok = holder(besides(c.cmd.Process.Pid), inode)
	}
	if ok {
		if len(c.holders) >= maxHolders {
			c.holders = nil
		}
		c.holders = append(c.holders, p)
	}
	return ok
}

const maxHolders = 64 // some may have ended

func (c *Child) family() kin {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kin
}

// Run runs c until it ends by itself, or is killed as ctx ends. The error says how it ended: for its
// memory with an [Overuse], as [Child.Err] does.
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

// newMark is the Marker's value for one more command.
func (k *Keeper) newMark(name string) string {
	name = strings.Map(func(r rune) rune {
		if cmdline.PlainByte(byte(r)) && r < 0x80 && r != '/' {
			return r
		}
		return '-'
	}, name)
	return k.lifeMark() + name + "." + randomID() + "/"
}

// bareError is err without the path that the caller says already.
func bareError(err error) error {
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}
