package keep

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"paas/engine"
	"paas/volume"
)

// Fleet keeps units running. Fill in the fields first.
type Fleet struct {
	// Start starts a process of a unit. Its output goes to out, which is called from one goroutine at
	// a time. try is 1, and more where a process asked to be started again.
	Start func(unit engine.Unit, index, try int, out io.Writer) (Process, error)

	// Log is where the output of a place is written down; nil: nowhere.
	Log func(name engine.UnitName, index int) Log

	mu       sync.Mutex
	units    map[engine.UnitName]*engine.Unit
	places   map[seat]*place
	watchers map[*watcher]struct{}
	starts   int // so far
	closed   bool
}

// Process is a process of a unit. Its methods are as those of [engine.Process].
type Process interface {
	PID() int
	Limits() volume.Limits
	Done() <-chan struct{}
	Exit() engine.Exit
	Stop(grace time.Duration)

	Addr() string            // where it is to listen; empty: nowhere
	Exited() <-chan struct{} // closed as soon as the process itself has ended; Done follows

	// Again reports, after Done, whether the process is to be started again at once because of something
	// that another one need not meet, and why.
	Again() (why string, again bool)
}

// Log takes the output of a place.
type Log interface {
	io.Writer
	Note(format string, args ...any) // writes a line of our own
	EndLine()                        // ends a line that was begun
	Close() error
}

// seat is where a place is.
type seat struct {
	unit  engine.UnitName
	index int
}

// Want is as [engine.Fleet.Want].
func (f *Fleet) Want(_ context.Context, unit engine.Unit) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed
	}
	if f.units == nil {
		f.units, f.places = map[engine.UnitName]*engine.Unit{}, map[seat]*place{}
	}
	known := f.units[unit.Name]
	if known == nil {
		known = new(engine.Unit)
		f.units[unit.Name] = known
	}
	*known = unit
	for _, pl := range f.of(unit.Name) {
		if !slices.Contains(unit.Indexes, pl.Index) {
			pl.drop(unit.Grace)
		}
	}
	for _, index := range unit.Indexes {
		pl := f.places[seat{unit.Name, index}]
		if pl == nil {
			pl = newPlace(f, unit.Name, index)
			f.places[seat{unit.Name, index}] = pl
			go pl.run()
		}
		pl.unit, pl.wanted = known, true
	}
	return nil
}

var errClosed = engine.StartError{Status: 1, Reason: "the engine has ended"}

// of lists the places of a unit.
func (f *Fleet) of(name engine.UnitName) (all []*place) {
	for at, pl := range f.places {
		if at.unit == name {
			all = append(all, pl)
		}
	}
	return all
}

// Drop is as [engine.Fleet.Drop].
func (f *Fleet) Drop(_ context.Context, name engine.UnitName, grace time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.units, name)
	for _, pl := range f.of(name) {
		pl.drop(grace)
	}
	return nil
}

// Units is as [engine.Fleet.Units].
func (f *Fleet) Units(context.Context) ([]engine.UnitName, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.units)), nil
}

// Places is as [engine.Fleet.Places].
func (f *Fleet) Places(_ context.Context, app string) (all []engine.Place, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, pl := range f.places {
		if at.unit.App == app {
			all = append(all, pl.now())
		}
	}
	slices.SortFunc(all, func(a, b engine.Place) int {
		return cmp.Or(cmp.Compare(a.Unit.Release, b.Unit.Release), cmp.Compare(a.Unit.Type, b.Unit.Type),
			cmp.Compare(a.Unit.Copy, b.Unit.Copy), cmp.Compare(a.Index, b.Index))
	})
	return all, nil
}

// Restart is as [engine.Fleet.Restart].
func (f *Fleet) Restart(_ context.Context, at engine.Place, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	pl := f.places[seat{at.Unit, at.Index}]
	if pl == nil || pl.Start != at.Start || pl.State != engine.Running || pl.reason != "" {
		return nil
	}
	pl.reason = reason
	go pl.process.Stop(pl.unit.Grace)
	return nil
}

// Process is the process that at is about, and the unit that it is of.
func (f *Fleet) Process(at engine.Place) (Process, engine.Unit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pl := f.places[seat{at.Unit, at.Index}]
	if pl == nil || pl.Start != at.Start || pl.process == nil {
		return nil, engine.Unit{}, fmt.Errorf("%s.%d: the process has ended", at.Unit.Type, at.Index)
	}
	return pl.process, *pl.unit, nil
}

// Logs is as [engine.Fleet.Logs].
func (f *Fleet) Logs(ctx context.Context, at engine.Place, follow bool) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pl := f.places[seat{at.Unit, at.Index}]
	if pl == nil || pl.Start != at.Start {
		return nil, fmt.Errorf("%s.%d: the process has ended", at.Unit.Type, at.Index)
	}
	return pl.out.read(ctx, follow), nil
}

// Close starts nothing more. What runs is left to who can end it.
func (f *Fleet) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, pl := range f.places {
		pl.drop(0)
	}
}
