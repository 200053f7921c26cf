package runtime

import (
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
	"paas/volume"
)

// An engine may outlive the server. The next server keeps those of its processes that are still
// wanted, and drops the others.
func TestAdopt(t *testing.T) {
	s := newStage(t)
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"web": 2} })
	done := s.turn()
	stop := s.run()
	s.deploy()
	s.deploy()
	stop()
	done()
	for _, u := range []engine.Unit{
		{Name: engine.UnitName{App: "blog", Release: 2, Type: "web", Copy: 3}, Indexes: []int{1, 2}, Argv: []string{"x"}},
		{Name: engine.UnitName{App: "blog", Release: 2, Type: "web", Copy: 1}, Indexes: []int{2}, Argv: []string{"x"}},
		{Name: engine.UnitName{App: "blog", Release: 1, Type: "worker"}, Indexes: []int{1}, Argv: []string{"y"}},
	} {
		u.Listens, u.Grace, u.Stable = u.Name.Type == "web", time.Second, time.Minute
		if err := s.engine.Want(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	rig.Eventually(t, "the engine runs them", func() bool { return len(s.alive()) == 4 })
	before := s.names()
	s.run()
	s.runs("web.1 of v2, web.2 of v2")
	rig.Eventually(t, "the others have ended", func() bool { return len(s.alive()) == 2 })
	if started := s.names()[len(before):]; len(started) > 0 {
		t.Errorf("started %q", started)
	}
	units, err := s.engine.Units(t.Context())
	if err != nil || len(units) != 1 || units[0].Copy != 3 {
		t.Errorf("%v, %v", units, err)
	}
}

// alive lists the names of the processes that have not ended.
func (s *stage) alive() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.all {
		if !p.Ended() {
			names = append(names, p.Name)
		}
	}
	return names
}
