package watch

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"paas/exitcode"
	"paas/say"
)

// phase is the state of the command.
type phase int

const (
	stopped phase = iota // nothing is left of it; the next one may start
	running
	idle     // it exited or could not be started; part of its group may be left
	stopping // Signal was sent
)

// runner is the state of a [Watch.Run]. It is used by one goroutine.
type runner struct {
	*Watch
	sensor
	phase       phase
	everStarted bool            // the command was started at least once
	group       *group          // of the command, or nil
	exited      <-chan struct{} // closed when the command exits; nil afterwards
	groupGone   chan error      // receives a value when the group has ended; used while stopping
	status      int             // of the command that exited last
	quitting    bool            // Run is to return
}

func (r *runner) loop(ctx context.Context, signals, children <-chan os.Signal,
	asked <-chan struct{}) (int, error) {
	r.firstScan(time.Now())
	r.expectUpdate(time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	ended := ctx.Done()
	for {
		switch {
		case r.phase == stopped && r.quitting:
			return r.status, nil
		case r.phase == stopped && !r.pending() && !r.missing:
			if err := r.start(); err != nil {
				return r.status, err
			}
		}
		timer.Reset(time.Until(r.nextWake()))
		select {
		case <-ended:
			ended = nil
			r.quit(syscall.SIGTERM)
		case sig := <-signals:
			if sig == syscall.SIGQUIT {
				r.forward(syscall.SIGQUIT)
				continue
			}
			r.quit(sig.(syscall.Signal))
		case e := <-r.events.c:
			r.handleEvent(e, time.Now())
		case <-r.events.errors:
			r.eventsLost(time.Now())
		case <-timer.C:
			if r.wake(time.Now()) && len(r.changes) > 0 {
				r.restart(r.changes.String() + "; restarting")
			}
		case <-asked:
			r.restart("restarting")
		case <-r.exited:
			r.commandExited()
		case err := <-r.groupGone:
			r.groupExited(err)
		case <-children:
			r.reap()
		}
	}
}

// start starts the command. Only the first failure is an error; later it waits for a change.
func (r *runner) start() error {
	first := !r.everStarted
	r.everStarted = true
	if first {
		folders, _ := r.tree.top.count()
		say.Step(r.Messages, "watching %s in %s; running %s", plural(folders, "folder"), r.dir,
			r.Command[0])
		clear(r.changes) // changes before the first start
	}
	cmd := exec.Command(r.Command[0], r.Command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, r.Stdout, r.Stderr
	cmd.Env = slices.DeleteFunc(cmd.Environ(),
		func(kv string) bool { return strings.HasPrefix(kv, changedVariable+"=") })
	cmd.Env = append(cmd.Env, r.changes.environ()...)
	clear(r.changes)
	r.started = time.Now()
	g, err := startGroup(cmd)
	if err != nil {
		r.phase, r.status = idle, err.status()
		if !first {
			say.Fault(r.Messages, "%v; waiting for a change", err)
			return nil
		}
		return err
	}
	r.phase, r.group, r.exited = running, g, g.ended
	return nil
}

// restart stops the command if it runs. The loop then starts the next one.
func (r *runner) restart(why string) {
	if r.quitting || r.phase == stopping || r.phase == stopped {
		return // a restart is under way
	}
	say.Step(r.Messages, "%s", why)
	r.stop(cmp.Or(r.Signal, syscall.SIGTERM))
}

func (r *runner) stop(sig syscall.Signal) {
	if r.group == nil {
		r.phase = stopped
		return
	}
	r.phase = stopping
	r.groupGone = make(chan error, 1)
	go func(g *group, gone chan<- error) { gone <- g.stop(sig, r.Grace) }(r.group, r.groupGone)
}

// forward sends sig to the command if it runs. Many runtimes print stack traces on SIGQUIT.
func (r *runner) forward(sig syscall.Signal) {
	if r.group != nil {
		r.group.signal(sig)
	}
}

// quit ends the run: gracefully the first time, at once the second time.
func (r *runner) quit(sig syscall.Signal) {
	again := r.quitting
	r.quitting = true
	switch {
	case again && r.group != nil:
		r.group.signal(syscall.SIGKILL)
	case r.phase == stopping:
		r.group.signal(sig)
	case r.group == nil && r.status == 0:
		r.phase, r.status = stopped, exitcode.Signal(sig)
	default:
		r.stop(sig)
	}
}

// commandExited handles the end of the command.
func (r *runner) commandExited() {
	r.exited = nil
	r.reap() // children that were hidden behind it
	r.status = exitcode.Of(r.group.state)
	if r.phase != running {
		return
	}
	r.phase = idle
	if r.status == 0 {
		say.Step(r.Messages, "%s exited; waiting for a change", r.Command[0])
		return
	}
	say.Fault(r.Messages, "%s %s; waiting for a change", r.Command[0], r.group.describeExit())
}

// groupExited handles the end of the whole group.
func (r *runner) groupExited(err error) {
	if err != nil {
		say.Fault(r.Messages, "%v; continuing without it", err)
		r.status = exitcode.Signal(syscall.SIGKILL)
	} else if r.exited != nil {
		r.commandExited()
	}
	r.phase, r.group, r.exited, r.groupGone = stopped, nil, nil, nil
}

func (r *runner) reap() {
	except := 0
	if r.exited != nil {
		except = r.group.pid
	}
	reap(except)
}
