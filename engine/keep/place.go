package keep

import (
	"errors"
	"fmt"
	"time"

	"paas/engine"
)

// place runs the processes of one place, one after the other, in its own goroutine. The fleet's
// lock guards its fields.
type place struct {
	fleet *Fleet
	engine.Place
	unit    *engine.Unit
	process Process // nil: none is running

	wanted  bool
	stopped bool          // told to end; it may be wanted again since
	grace   time.Duration // grace of that
	reason  string        // reason for ending the process and starting another; empty: none
	wake    chan struct{} // ends the wait for the next start; has one place
	out     output
}

func newPlace(f *Fleet, name engine.UnitName, index int) *place {
	pl := &place{fleet: f, wake: make(chan struct{}, 1)}
	pl.Place = engine.Place{Unit: name, Index: index, State: engine.Starting}
	if f.Log != nil {
		pl.out.log = f.Log(name.App, fmt.Sprintf("%s.%d", name.Type, index))
	}
	return pl
}

// now returns the state of the place. It includes an end of the process that the place's goroutine
// has not seen yet.
func (pl *place) now() engine.Place {
	p := pl.Place
	if p.State == engine.Running && isClosed(pl.process.Exited()) {
		p.State = engine.Exited
	}
	return p
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// set changes the state and notifies watchers. The fleet is locked.
func (pl *place) set(s engine.State) {
	pl.State = s
	pl.changed()
}

func (pl *place) changed() {
	for w := range pl.fleet.watchers {
		w.tell(pl.Unit.App)
	}
}

// drop ends the place. The fleet is locked.
func (pl *place) drop(grace time.Duration) {
	if pl.stopped && pl.process == nil { // a process is being started
		grace = min(grace, pl.grace)
	}
	pl.wanted, pl.stopped, pl.grace = false, true, grace
	select {
	case pl.wake <- struct{}{}:
	default:
	}
	if pl.process != nil {
		go pl.process.Stop(grace)
	}
	if pl.State != engine.Waiting {
		pl.set(engine.Stopping)
	}
}

// run starts processes, one after the other, until the place is dropped.
func (pl *place) run() {
	for try := 1; ; {
		again := pl.once(try)
		switch {
		case again:
			try++
		case pl.rest():
			try = 1
		default:
			return
		}
	}
}

// once runs one process until it ends. again reports whether to try again at once.
func (pl *place) once(try int) (again bool) {
	f := pl.fleet
	f.mu.Lock()
	if !pl.wanted {
		f.mu.Unlock()
		return false
	}
	unit := *pl.unit
	f.starts++
	pl.Start = f.starts
	pl.stopped, pl.reason, pl.Addr, pl.PID = false, "", "", 0
	pl.Next, pl.Since = time.Time{}, time.Time{}
	pl.set(engine.Starting)
	pl.out.begin()
	f.mu.Unlock()
	pl.out.note("v%d starts", unit.Name.Release)
	began := time.Now()
	p, err := f.Start(unit, pl.Index, try, &pl.out)
	if err != nil {
		return pl.ended(began, exitOf(err))
	}
	f.mu.Lock()
	pl.process = p
	pl.Since, pl.PID, pl.Addr, pl.Limits = began.UTC(), p.PID(), p.Addr(), p.Limits()
	if pl.stopped {
		go p.Stop(pl.grace)
		pl.changed()
	} else {
		pl.set(engine.Running)
	}
	f.mu.Unlock()
	<-p.Exited()
	f.mu.Lock()
	if pl.State == engine.Running {
		pl.set(engine.Exited)
	}
	f.mu.Unlock()
	<-p.Done()
	why, again := p.Again()
	f.mu.Lock()
	pl.process = nil
	exit := p.Exit()
	if pl.reason != "" {
		exit, again = engine.Exit{Reason: pl.reason}, false
	}
	again = again && pl.wanted && !pl.stopped
	f.mu.Unlock()
	if again {
		pl.out.end()
		pl.out.note("%s", why)
		return true
	}
	return pl.ended(began, exit)
}

// ended records how a process ended, or why it did not start.
func (pl *place) ended(began time.Time, exit engine.Exit) (again bool) {
	pl.out.end()
	f := pl.fleet
	f.mu.Lock()
	if pl.stopped { // as expected
		pl.Failures = 0
		f.mu.Unlock()
		return false
	}
	if time.Since(began) > pl.unit.Stable {
		pl.Failures = 0
	}
	pl.Failures++
	pl.Restarts++
	delay := backoff(pl.Failures)
	pl.Exit, pl.Last, pl.Next = exit, pl.out.last(), time.Now().Add(delay).UTC()
	pl.set(engine.Waiting)
	f.mu.Unlock()
	pl.out.note("%v; next start in %s", exit, delay.Round(time.Second/100))
	return false
}

// rest waits until the next process may start. If none should, it forgets the place and returns
// false.
func (pl *place) rest() bool {
	f := pl.fleet
	f.mu.Lock()
	waits := pl.State == engine.Waiting
	delay := time.Until(pl.Next)
	f.mu.Unlock()
	if waits {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-pl.wake:
			if !pl.isWanted() {
				pl.out.note("v%d is not started again", pl.Unit.Release)
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-pl.wake: // it was for a process that has ended in the meantime
	default:
	}
	if pl.wanted {
		return true
	}
	delete(f.places, seat{pl.Unit, pl.Index})
	pl.changed()
	go pl.out.close()
	return false
}

func (pl *place) isWanted() bool {
	pl.fleet.mu.Lock()
	defer pl.fleet.mu.Unlock()
	return pl.wanted
}

// exitOf converts the error of a start to an Exit.
func exitOf(err error) engine.Exit {
	if e, ok := errors.AsType[engine.Exit](err); ok {
		return e
	}
	start, _ := errors.AsType[engine.StartError](err)
	return engine.Exit{Reason: err.Error(), NoStart: start.Status}
}
