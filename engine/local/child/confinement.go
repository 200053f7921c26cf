package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Confinement is what keeps a command, and all it starts, to itself: what it may see, or how much it
// may use.
type Confinement interface {
	// Enter puts the calling thread under it: what the thread starts from then on is born under it.
	// The thread, never the process's first, is of no use for anything else afterwards. What cannot be put
	// on a thread it asks for in attr. An error means that nothing is to be started.
	Enter(attr *syscall.SysProcAttr) error
}

// confined enters each confinement on a thread of its own and has the command born there. A program in between that
// confines itself and then executes the command would need no thread, but it would be this binary, which
// takes some 5 ms to start and megabytes of memory, where this takes less than one.
//
// The thread waits for the end of the command, as it is the parent whose death the command is not to outlive
// (see ownSession), unless it must not stay: see [stayer]. It is never unlocked, so it ends with this function, and neither
// is any other made in its image: for a locked thread Go starts new ones from one that it knows to be clean.
// Go 1.28 is to have Landlock in SysProcAttr; what is left here then is namespaces and old control groups.
func (k *Keeper) confined(under []Confinement, cmd *exec.Cmd, result chan<- error, done <-chan struct{}) {
	runtime.LockOSThread()
	if firstThread() { // it does not end, and to old control groups it is the process
		taken := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(taken)
			k.confined(under, cmd, result, done)
		}()
		<-taken
		runtime.UnlockOSThread()
		return
	}
	ready, err := k.birth(under, cmd)
	result <- err
	if err == nil && ready == nil {
		<-done
	}
	if ready != nil {
		ready()
	}
}

// starter is a Confinement that starts what is under it itself: no thread of the server can enter it.
type starter interface {
	Starts() bool // whether it does so

	// Start starts cmd, as a child of the server. Of SysProcAttr, Setctty and PidFD count. Before the command's first instruction it
	// calls take with its number.
	Start(cmd *exec.Cmd, take func(pid int) error) error
}

// starterOf is the starter among under; nil: the server starts the command.
func starterOf(under []Confinement) starter {
	for _, u := range under {
		if s, ok := u.(starter); ok && s.Starts() {
			return s
		}
	}
	return nil
}

// taker is a Confinement that a process can be put under that has not begun. Where a starter starts it, it is not born under
// what the server's thread has entered.
type taker interface{ Take(pid int) error }

// take puts the process under all that take it.
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

// birth has the command born on the calling thread. The thread must end soon where ready is not nil: that is called last
// of all, and lets the command go on when the thread is no more.
func (k *Keeper) birth(under []Confinement, cmd *exec.Cmd) (ready func(), err error) {
	stays := true
	for _, u := range under {
		if err := u.Enter(cmd.SysProcAttr); err != nil {
			return nil, err
		}
		if u, ok := u.(stayer); ok && !u.MayStay() {
			stays = false
		}
	}
	if as := cmd.SysProcAttr.Credential; as != nil {
		if err := give(cmd, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	if stays {
		err = k.bear(cmd)
	} else {
		ready, err = k.bearStopped(cmd)
	}
	for _, u := range under {
		if u, ok := u.(leaver); ok {
			u.Leave()
		}
	}
	return ready, err
}

// stayer is a Confinement that what is born under it might reach its thread by, having the same rights and the same
// walls around it: whoever may signal or trace a thread of the server's, may the server. Such a thread is gone before
// the command does anything. Then there is no parent whose death ends the command: where server and guard are
// killed in the same moment, it is ended when the server next starts.
type stayer interface{ MayStay() bool }

// give gives the command's ends of its streams to the user it runs as: /dev/stdout opened is the pipe
// opened anew, which the kernel asks that user's rights for, and so is a terminal.
func give(cmd *exec.Cmd, uid, gid int) error {
	for _, stream := range []any{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		if f, ok := stream.(*os.File); ok && f != nil {
			if err := f.Chown(uid, gid); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaver is a Confinement that the thread is to leave once the command is born.
type leaver interface{ Leave() }

// gauge is a Confinement that knows whether what is under it was killed for its memory: how much it used,
// and how much it may, in bytes.
type gauge interface {
	Overused() (used, max int64, over bool)
}

// overuse is what one of under knows of an end for want of memory; nil: none knows of any.
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
