package runtime

import (
	"testing"
	"testing/synctest"

	"paas/engine"
	"paas/volume"
)

// A process that the engine replaces before anybody has seen it run has not failed.
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
