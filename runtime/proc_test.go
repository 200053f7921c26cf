package runtime

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/volume"
)

// A process that the engine replaces before the runtime has seen it run has not failed.
func TestReplacedBeforeItWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		i := newInstance(newLoop(s.runtime(), s.app), 1)
		m := newMember(i, place{"worker", 1}, "worker", volume.Wanted{})
		saw := func(start int, state engine.State) {
			m.in.loop.units.mu.Lock()
			defer m.in.loop.units.mu.Unlock()
			m.saw(engine.Place{Start: start, State: state})
		}
		saw(1, engine.Starting)
		var p *proc
		var err error
		go func() { p, err = m.healthy(t.Context(), nil) }()
		synctest.Wait()
		saw(2, engine.Starting)
		synctest.Wait()
		saw(2, engine.Running)
		synctest.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if p != m.latest {
			t.Error("not the second process")
		}
	})
}

// A process that fails its boot is not started again while the rest of the deploy ends.
func TestFailedBootIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.ends = func(*enginetest.Process) (engine.Exit, bool) { return crash, true }
		a := newLoop(s.runtime(), s.app)
		watching, unwatch := context.WithCancel(t.Context())
		defer unwatch()
		go a.rt.Engine.Watch(watching, func(string) { a.units.refresh() })
		i := newInstance(a, s.publish())
		i.built = volume.Built{Processes: map[string]string{"web": "x"}}
		if err := i.boot(t.Context(), volume.Wanted{}, io.Discard); err == nil {
			t.Error("it booted")
		}
		time.Sleep(time.Minute)
		if n := len(s.all); n != 1 {
			t.Errorf("started %d times", n)
		}
		i.stop(0)
	})
}
