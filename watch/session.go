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

// phase is what is with the command.
type phase int

const (
	stopped  phase = iota // nothing of it is left, and the next is due
	running               // it runs
	idle                  // it ended by itself, or could not be started; some of its group may be left
	stopping              // it was asked to end
)

// session is one run of a [Watch]. One goroutine's.
type session struct {
	*Watch
	sensor
	phase   phase
	began   bool            // a command was started
	group   *group          // of the command; nil: none
	ended   <-chan struct{} // the command, if it has not yet
	gone    chan error      // the group, while stopping
	status  int             // of the command that ended last
	leaving bool            // for good
}

func (s *session) loop(ctx context.Context, signals, children <-chan os.Signal, asked <-chan struct{}) (int, error) {
	s.begin(time.Now())
	s.expect(time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	ended := ctx.Done()
	for {
		switch {
		case s.phase == stopped && s.leaving:
			return s.status, nil
		case s.phase == stopped && !s.pending() && !s.missing:
			if err := s.start(); err != nil {
				return s.status, err
			}
		}
		timer.Reset(time.Until(s.next()))
		select {
		case <-ended:
			ended = nil
			s.leave(syscall.SIGTERM)
		case sig := <-signals:
			if sig == syscall.SIGQUIT {
				s.passOn(syscall.SIGQUIT)
				continue
			}
			s.leave(sig.(syscall.Signal))
		case e := <-s.events.happened:
			s.event(e, time.Now())
		case <-s.events.errors:
			s.failed(time.Now())
		case <-timer.C:
			if s.wake(time.Now()) && len(s.found) > 0 {
				s.restart(s.found.String() + "; restarting")
			}
		case <-asked:
			s.restart("restarting")
		case <-s.ended:
			s.hasEnded()
		case err := <-s.gone:
			s.hasGone(err)
		case <-children:
			s.reap()
		}
	}
}

// start starts the command. The error is that of the first time; later ones wait for a change.
func (s *session) start() error {
	first := !s.began
	s.began = true
	if first {
		folders, _ := s.tree.top.count()
		say.Step(s.Messages, "watching %s in %s; running %s", counted(folders, "folder"), s.dir, s.Command[0])
		clear(s.found) // before there was anybody to tell
	}
	cmd := exec.Command(s.Command[0], s.Command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.Stdout, s.Stderr
	cmd.Env = slices.DeleteFunc(cmd.Environ(), func(kv string) bool { return strings.HasPrefix(kv, variable+"=") })
	cmd.Env = append(cmd.Env, s.found.environ()...)
	clear(s.found)
	s.started = time.Now()
	g, err := startGroup(cmd)
	if err != nil {
		s.phase, s.status = idle, err.status()
		if !first {
			say.Fault(s.Messages, "%v; waiting for a change", err)
			return nil
		}
		return err
	}
	s.phase, s.group, s.ended = running, g, g.ended
	return nil
}

// restart stops the command, if there is one; the loop starts the next.
func (s *session) restart(why string) {
	if s.leaving || s.phase == stopping || s.phase == stopped {
		return // the one that is due does for this, too
	}
	say.Step(s.Messages, "%s", why)
	s.stop(cmp.Or(s.Signal, syscall.SIGTERM))
}

func (s *session) stop(sig syscall.Signal) {
	if s.group == nil {
		s.phase = stopped
		return
	}
	s.phase = stopping
	s.gone = make(chan error, 1)
	go func(g *group, gone chan<- error) { gone <- g.stop(sig, s.Grace) }(s.group, s.gone)
}

// passOn sends sig to the command, if it runs. Many runtimes print what they are doing upon SIGQUIT.
func (s *session) passOn(sig syscall.Signal) {
	if s.group != nil {
		s.group.signal(sig)
	}
}

// leave ends the session: the first time in good order, the second at once.
func (s *session) leave(sig syscall.Signal) {
	again := s.leaving
	s.leaving = true
	switch {
	case again && s.group != nil:
		s.group.signal(syscall.SIGKILL)
	case s.phase == stopping:
		s.group.signal(sig)
	case s.group == nil && s.status == 0:
		s.phase, s.status = stopped, exitcode.Signal(sig)
	default:
		s.stop(sig)
	}
}

// hasEnded is what follows the end of the command itself.
func (s *session) hasEnded() {
	s.ended = nil
	s.reap() // those that it hid
	s.status = exitcode.Of(s.group.state)
	if s.phase != running {
		return
	}
	s.phase = idle
	if s.status == 0 {
		say.Step(s.Messages, "%s ended; waiting for a change", s.Command[0])
		return
	}
	say.Fault(s.Messages, "%s %s; waiting for a change", s.Command[0], s.group.fate())
}

// hasGone is what follows the end of the whole group.
func (s *session) hasGone(err error) {
	if err != nil {
		say.Fault(s.Messages, "%v; going on without it", err)
		s.status = exitcode.Signal(syscall.SIGKILL)
	} else if s.ended != nil {
		s.hasEnded()
	}
	s.phase, s.group, s.ended, s.gone = stopped, nil, nil, nil
}

func (s *session) reap() {
	except := 0
	if s.ended != nil {
		except = s.group.pid
	}
	reap(except)
}
