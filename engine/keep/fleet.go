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
	// Start starts a process of a unit. Its output goes to out, from one goroutine at a time. try
	// is 1, or more if a process asked to be started again.
	Start func(unit engine.Unit, index, try int, out io.Writer) (Process, error)

	// Log returns a log of an app; nil: there is none.
	Log func(app, name string) Log

	mu       sync.Mutex
	apps     map[string]struct{} // those that have ever had a unit
	units    map[engine.UnitName]*engine.Unit
	places   map[seat]*place
	watchers map[*watcher]struct{}
	runs     map[string]*run // detached jobs, by ID
	starts   int             // so far
	closed   bool
}

// Process is a process of a unit. For its methods see [engine.Process].
type Process interface {
	PID() int
	Limits() volume.Limits
	Done() <-chan struct{}
	Exit() engine.Exit
	Stop(grace time.Duration)

	Addr() string            // where it should listen; empty: nowhere
	Exited() <-chan struct{} // closed when the process itself has ended; Done follows

	// Again reports, after Done, whether to start another process at once, for a reason that may
	// not affect that one, and the reason.
	Again() (why string, again bool)
}

// Log receives the output of a place or of a detached job.
type Log interface {
	io.Writer
	Note(format string, args ...any) // writes a line of the engine's own
	EndLine()                        // ends an incomplete line
	Close() error
}

// seat identifies a place.
type seat struct {
	unit  engine.UnitName
	index int
}

// Want implements [engine.Fleet.Want].
func (f *Fleet) Want(_ context.Context, unit engine.Unit) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed
	}
	if f.units == nil {
		f.apps = map[string]struct{}{}
		f.units, f.places = map[engine.UnitName]*engine.Unit{}, map[seat]*place{}
	}
	f.apps[unit.Name.App] = struct{}{}
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

// of returns the places of a unit.
func (f *Fleet) of(name engine.UnitName) (all []*place) {
	for at, pl := range f.places {
		if at.unit == name {
			all = append(all, pl)
		}
	}
	return all
}

// Drop implements [engine.Fleet.Drop].
func (f *Fleet) Drop(_ context.Context, name engine.UnitName, grace time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.units, name)
	for _, pl := range f.of(name) {
		pl.drop(grace)
	}
	return nil
}

// Units implements [engine.Fleet.Units].
func (f *Fleet) Units(context.Context) ([]engine.UnitName, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.units)), nil
}

// Places implements [engine.Fleet.Places].
func (f *Fleet) Places(_ context.Context, app string) (all []engine.Place, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, pl := range f.places {
		if at.unit.App == app {
			all = append(all, pl.now())
		}
	}
	slices.SortFunc(all, func(a, b engine.Place) int {
		return cmp.Or(
			cmp.Compare(a.Unit.Release, b.Unit.Release),
			cmp.Compare(a.Unit.Type, b.Unit.Type),
			cmp.Compare(a.Unit.Copy, b.Unit.Copy),
			cmp.Compare(a.Index, b.Index),
		)
	})
	return all, nil
}

// Restart implements [engine.Fleet.Restart].
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

// Process returns the process that at refers to, and its unit.
func (f *Fleet) Process(at engine.Place) (Process, engine.Unit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pl := f.places[seat{at.Unit, at.Index}]
	if pl == nil || pl.Start != at.Start || pl.process == nil {
		err := fmt.Errorf("%s.%d: the process has ended", at.Unit.Type, at.Index)
		return nil, engine.Unit{}, err
	}
	return pl.process, *pl.unit, nil
}

// Logs implements [engine.Fleet.Logs].
func (f *Fleet) Logs(ctx context.Context, at engine.Place, follow bool) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pl := f.places[seat{at.Unit, at.Index}]
	if pl == nil || pl.Start != at.Start {
		return nil, fmt.Errorf("%s.%d: the process has ended", at.Unit.Type, at.Index)
	}
	return pl.out.read(ctx, follow), nil
}

// Close prevents further starts. The caller must end the running processes.
func (f *Fleet) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, pl := range f.places {
		pl.drop(0)
	}
}
