package runtime

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/rig"
	"paas/volume"
)

// A process that was starting when its limits changed is restarted: it may have the old limits.
func TestLimitsSetDuringAStart(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	var starts atomic.Int32
	var last atomic.Int64
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
		if p.Type == "worker" {
			last.Store(p.Job.Limits.Memory)
			if starts.Add(1) == 1 {
				s.set(func(now *volume.Wanted) {
					now.Limits = map[string]volume.Limits{"": {Memory: 5}, "worker": {Memory: 7}}
					now.Restarts = map[string]string{"worker": "a"}
				})
			}
		}
		return engine.Exit{}, false
	}
	s.turn()
	s.run()
	s.deploy()
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
	rig.Eventually(t, "it is restarted", func() bool {
		processes, _ := s.app.Processes()
		return len(processes) == 2 && processes[1].Restart == "a" && processes[1].State == string(Running)
	})
	if starts.Load() != 2 || last.Load() != 7 {
		t.Errorf("%d starts, the last with %d", starts.Load(), last.Load())
	}
}

// A server that starts with a damaged wanted.json runs what was wanted when the live release was
// made. But who was let in later is unknown, so nobody is until the file is whole.
func TestDamagedWanted(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	var memory atomic.Int64 // of the last start
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
		memory.Store(p.Job.Limits.Memory)
		return engine.Exit{}, false
	}
	s.set(func(now *volume.Wanted) {
		now.Formation, now.Limits = map[string]int{"worker": 1}, map[string]volume.Limits{"": {Memory: 1 << 20}}
	})
	done := s.turn()
	stop := s.run()
	s.deploy()
	done()
	stop()
	memory.Store(0)
	replace(t, filepath.Join(s.app.Dir(), "wanted.json"), "")
	s.run()
	s.runs("web.1 of v1, worker.1 of v1")
	if memory.Load() != 1<<20 {
		t.Errorf("%d bytes of memory", memory.Load())
	}
	letsIn := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.rules.Maintenance
	}
	if letsIn() {
		t.Error("visitors are let in")
	}
	if err := s.app.SetWanted(volume.Wanted{}); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "visitors are let in again", letsIn)
}

// If limits change while a release proves itself and it is taken back, the release before has them
// from its next start on.
func TestLimitsChangeWhileProving(t *testing.T) {
	s := pair(t)
	s.set(func(now *volume.Wanted) { now.Limits = map[string]volume.Limits{"": {Memory: 77 << 20}} })
	s.kill("v2 web.1 x", crash)
	s.isBack(volume.Failed, "")
	first := s.actor(1)
	rig.Eventually(t, "the engine is told", func() bool {
		s.kill("v1 web.1 x", crash) // once more if the engine does not know the new limits yet
		now := s.actor(1)
		return now != first && now.Job.Limits.Memory == 77<<20
	})
}
