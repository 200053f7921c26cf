package runtime

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// command is what a child is to run.
type command struct {
	name string   // for people: "npm ci"; and, made fit for it, in the marker
	argv []string // its first word is looked up in env's PATH
	dir  string
	env  map[string]string // all of it, but for the marker
	out  io.Writer         // both streams, in the order they came; called from one goroutine
	gone func()            // called when nothing of it is left, before done; nil: nothing to do
}

// child is one running command with everything it starts: a process of an app, or a step of a
// build. It is the leader of a session of its own, reads nothing from standard input, and leaves
// nothing behind, however it ends.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; after done

	mu       sync.Mutex
	kin      kin
	waited   bool      // its number may be another's by now
	deadline time.Time // when what is left is killed; zero: nobody asked it to stop
}

// launch starts c. The server is not made a subreaper (prctl(2)): orphans are found by their
// marker, and reaping them would need a wait for any child, which takes os/exec's from it. A
// server that is the first process of a container wants an init above it (docker run --init).
func (l *Local) launch(c command) (*child, error) {
	path, err := lookPath(c.argv[0], c.env["PATH"], c.dir)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	mark := l.newMark(c.name)
	env := maps.Clone(c.env)
	env[marker] = mark
	ch := &child{
		name: c.name,
		kin:  kin{mark: mark},
		done: make(chan struct{}),
		cmd:  &exec.Cmd{Path: path, Args: c.argv, Dir: c.dir, Env: environ(env), Stdout: write, Stderr: write},
	}
	handle := ownSession(ch.cmd)
	err = l.start(ch.cmd)
	write.Close()
	if err != nil {
		read.Close()
		return nil, fmt.Errorf("%s: %w", c.argv[0], bareError(err))
	}
	ch.kin.leaders = []int{ch.cmd.Process.Pid}
	l.guard.add(ch.cmd.Process.Pid)
	go func() {
		ch.supervise(handle, read, c.out, l)
		l.guard.forget(ch.cmd.Process.Pid)
		if c.gone != nil {
			c.gone()
		}
		close(ch.done)
	}()
	return ch, nil
}

// supervise blocks until the command has ended and nothing of it is left.
func (c *child) supervise(handle *int, read *os.File, out io.Writer, l *Local) {
	copied := make(chan struct{})
	go func() {
		drain(out, read)
		close(copied)
	}()
	wait := awaitEnd(c.cmd, handle)
	c.awaitRest()
	if err := c.family().kill(); err != nil {
		l.Log.Error("left behind", "command", c.name, "err", err)
	}
	c.mu.Lock()
	c.err = wait() // only now is the number free, by which the rest was found
	c.waited = true
	c.mu.Unlock()
	// What got away may still hold the other end of the pipe.
	read.SetReadDeadline(time.Now().Add(time.Second))
	<-copied
	read.Close()
}

// awaitRest gives what the command leaves behind the time it was itself given to stop: where a
// shell starts two servers, it is the first of the three to go. Unasked, it gives none.
func (c *child) awaitRest() {
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

// stop sends SIGTERM to all of it, SIGKILL to what is left after grace, and returns when nothing
// is. Called again, the shorter grace counts.
func (c *child) stop(grace time.Duration) {
	deadline := time.Now().Add(grace)
	c.mu.Lock()
	first := c.deadline.IsZero()
	if first || deadline.Before(c.deadline) {
		c.deadline = deadline
	}
	c.mu.Unlock()
	if first {
		c.signal(unix.SIGTERM)
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
func (c *child) signal(sig unix.Signal) {
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

func (c *child) family() kin {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kin
}

// runToEnd runs c until it ends by itself, or is killed as ctx ends. The error says how it ended.
func (l *Local) runToEnd(ctx context.Context, c command) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ch, err := l.launch(c)
	if err != nil {
		return err
	}
	select {
	case <-ch.done:
		return ch.err
	case <-ctx.Done():
		ch.stop(0)
		return context.Cause(ctx)
	}
}

// drain copies until the end, whatever becomes of out: a process must not stop because nobody
// writes down what it says. The buffer is small, for there is one for each idle process.
func drain(out io.Writer, in io.Reader) {
	buffer := make([]byte, 8<<10)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			out.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// newMark is the marker's value for one more command.
func (l *Local) newMark(name string) string {
	name = strings.Map(func(r rune) rune {
		if plainByte(byte(r)) && r < 0x80 && r != '/' {
			return r
		}
		return '-'
	}, name)
	return l.lifeMark() + name + "." + randomID() + "/"
}

// bareError is err without the path that the caller says already.
func bareError(err error) error {
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}
