package child

import (
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"paas/builder/cmdline"
)

// Confinement restricts what a command and all it starts may see or use.
type Confinement interface {
	// Enter restricts the calling thread, and so what it starts from then on. The thread is never
	// the process's first and is not used for anything else afterwards. Enter sets in attr what
	// cannot be set on a thread. After an error nothing is started.
	Enter(attr *syscall.SysProcAttr) error
}

// startOnThread enters the confinements on a new thread and starts the command there. A helper
// program that confines itself and then executes the command would need no thread, but it would be
// this binary, which takes 5 ms to start and megabytes of memory; this takes less than one.
//
// The thread waits for the end of the command, which dies with it (see [ownSession]), unless it
// must not stay (see [stayer]). It is never unlocked, so it ends with this function. No other
// thread inherits its state: Go does not start threads from a locked one. Go 1.28 will have
// Landlock in SysProcAttr; then only namespaces and old control groups need this.
func (k *Keeper) startOnThread(
	under []Confinement, cmd *exec.Cmd, result chan<- error, done <-chan struct{},
) {
	runtime.LockOSThread()
	if firstThread() { // it never ends, and to old control groups it is the whole process
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
			k.startOnThread(under, cmd, result, done)
		}()
		<-locked
		runtime.UnlockOSThread()
		return
	}
	ready, err := k.startConfined(under, cmd)
	result <- err
	if err == nil && ready == nil {
		<-done
	}
	if ready != nil {
		ready()
	}
}

// mover is a Confinement in which folders have other paths.
type mover interface {
	// Inside returns text with those paths in place of the server's.
	Inside(text string) string
}

// move gives the command the paths that it sees. All of it was written with the server's.
func (c *Command) move() {
	for _, u := range c.Under {
		u, ok := u.(mover)
		if !ok {
			continue
		}
		c.Dir, c.Argv, c.Env = u.Inside(c.Dir), slices.Clone(c.Argv), maps.Clone(c.Env)
		for i, word := range c.Argv {
			c.Argv[i] = u.Inside(word)
		}
		for name, value := range c.Env {
			c.Env[name] = u.Inside(value)
		}
	}
}

// starter is a Confinement that no thread of the server can enter, so it starts the command itself.
type starter interface {
	Starts() bool // false: Enter it like the others

	// Start finds the program of cmd and starts it as a child of the server. Of SysProcAttr only
	// Setctty and PidFD count. It calls take with the process id before the command's first
	// instruction.
	Start(cmd *exec.Cmd, take func(pid int) error) error
}

// starterOf returns the starter among under, or nil.
func starterOf(under []Confinement) starter {
	for _, u := range under {
		if s, ok := u.(starter); ok && s.Starts() {
			return s
		}
	}
	return nil
}

// taker is a Confinement that can take in a process that has not begun. A starter's command needs
// this because it does not inherit what the server's thread has entered.
type taker interface{ Take(pid int) error }

// take puts the process under each taker.
func take(under []Confinement, pid int) error {
	for _, u := range under {
		if u, ok := u.(taker); ok {
			if err := u.Take(pid); err != nil {
				return err
			}
		}
	}
	return nil
}

// startConfined starts the command on the calling thread. If ready is not nil, the thread must end
// soon: the caller calls ready last, and the command goes on once the thread is gone.
func (k *Keeper) startConfined(under []Confinement, cmd *exec.Cmd) (ready func(), err error) {
	stays := true
	for _, u := range under {
		if err := u.Enter(cmd.SysProcAttr); err != nil {
			return nil, err
		}
		if u, ok := u.(stayer); ok && !u.MayStay() {
			stays = false
		}
	}
	if err := cmdline.Find(cmd); err != nil {
		return nil, err
	}
	if as := cmd.SysProcAttr.Credential; as != nil {
		if err := chownStreams(cmd, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	if stays {
		err = k.ifOpen(func() error { return k.start(cmd) })
	} else {
		ready, err = k.startStopped(cmd)
	}
	for _, u := range under {
		if u, ok := u.(leaver); ok {
			u.Leave()
		}
	}
	return ready, err
}

// stayer is a Confinement whose command might have the rights to signal or trace the thread that
// started it, and through that thread the server. If MayStay is false, the thread ends before the
// command begins. Then no parent's death ends the command: if server and guard are killed at the
// same moment, it runs until the server next starts.
type stayer interface{ MayStay() bool }

// chownStreams makes the command's user the owner of its streams: opening /dev/stdout, a pipe or a
// terminal, needs rights.
func chownStreams(cmd *exec.Cmd, uid, gid int) error {
	for _, stream := range []any{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		if f, ok := stream.(*os.File); ok && f != nil {
			if err := f.Chown(uid, gid); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaver is a Confinement that the thread leaves after starting the command.
type leaver interface{ Leave() }

// gauge is a Confinement that knows whether a process was killed for using too much memory, and how
// many bytes it used and may use.
type gauge interface {
	Overused() (used, max int64, over bool)
}

// overuse returns the [Overuse] that one of under reports, or nil.
func overuse(under []Confinement) error {
	for _, u := range under {
		if u, ok := u.(gauge); ok {
			if used, max, over := u.Overused(); over {
				return Overuse{used, max}
			}
		}
	}
	return nil
}
