package runtime

import (
	"testing"

	"paas/rig"
	"paas/volume"
)

// place makes a release in mode worktree the live one, as a push does.
func (s *stage) place() int {
	s.t.Helper()
	r, err := s.app.Publish(volume.Release{Settings: volume.Settings{Mode: volume.OnlyFiles}})
	if err == nil {
		err = s.app.SetStatus(r.N, volume.Status{State: volume.Ready})
	}
	if err == nil {
		err = s.app.SetLive(r.N)
	}
	if err == nil {
		err = s.app.SetStatus(r.N, volume.Status{State: volume.Live})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r.N
}

// The runtime does not run a release in mode worktree, and stops the one before it. The next release
// that is built takes over again.
func TestWatchModeTakesOver(t *testing.T) {
	s := newStage(t)
	s.turn()
	stop := s.run()
	one := s.publish()
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	two := s.place()
	rig.Eventually(t, "v1 is stopped", func() bool { return s.actor(one).Ended() })
	rig.Eventually(t, "nothing runs", func() bool { p, err := s.app.Processes(); return err == nil && len(p) == 0 })

	stop()
	s.run() // a runtime that starts now runs nothing either
	three := s.publish()
	s.reaches(three, volume.Ready)
	s.mu.Lock()
	if len(s.started) != 2 || s.builds != 2 {
		t.Errorf("started %v, %d builds", s.started, s.builds)
	}
	s.mu.Unlock()
	s.app.Commit(three)
	s.reaches(three, volume.Live)
	s.reaches(two, volume.Retired)
}
