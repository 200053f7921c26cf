package runtime

import (
	"context"
	"slices"
	"testing"

	"paas/rig"
	"paas/volume"
)

// A server that another one replaces finishes the deploy that runs, and takes up no other: that is
// the next server's. No process is restarted.
func TestHandOver(t *testing.T) {
	s := newStage(t)
	s.proves(0)
	built := make(chan struct{})
	done := s.turn()
	defer done()
	stop := s.run()
	s.deploy()
	s.mu.Lock()
	s.build = func(ctx context.Context) error {
		select {
		case <-built:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Unlock()
	second := s.publish()
	s.reaches(second, volume.Building)
	rt := s.rt
	free := make(chan struct{})
	go func() {
		defer close(free)
		rt.Free(t.Context())
	}()
	begun, _ := rt.handover.signals()
	<-begun
	select {
	case <-free:
		t.Error("free while a build runs")
	default:
	}
	close(built)
	s.reaches(second, volume.Ready)
	if err := s.app.Commit(second); err != nil {
		t.Fatal(err)
	}
	s.reaches(second, volume.Live)
	<-free
	third := s.publish()
	s.app.Ring()
	before := s.names()
	rt.Leave()
	stop()
	if status, err := s.app.Status(third); err == nil && status.State != volume.Queued && status.State != "" {
		t.Errorf("v%d is %s", third, status.State)
	}
	s.run()
	s.reaches(third, volume.Ready)
	if now := s.names(); !slices.Equal(now[:len(before)], before) || len(now) != len(before)+1 {
		t.Errorf("%q ran, then %q", before, now)
	}
}

// A server whose successor has failed goes on, with what was asked for meanwhile.
func TestResume(t *testing.T) {
	s := newStage(t)
	s.proves(0)
	done := s.turn()
	defer done()
	s.run()
	s.deploy()
	for range 2 {
		s.rt.Free(t.Context())
		s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"web": 2} })
		s.rt.Resume()
		s.runs("web.1 of v1, web.2 of v1")
		s.set(func(now *volume.Wanted) { now.Formation = nil })
		s.runs("web.1 of v1")
	}
	s.deploy()
	rig.Eventually(t, "only the new release runs", func() bool { return len(s.alive()) == 1 })
}
