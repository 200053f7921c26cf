package runtime

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
		s.wants(u)
	}
	rig.Eventually(t, "the engine runs them", func() bool { return len(s.alive()) == 4 })
	for _, p := range s.engine.Processes()[2:] {
		p.End(engine.Exit{Code: 1})
	}
	rig.Eventually(t, "the engine runs them again", func() bool { return len(s.alive()) == 4 })
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
	places, err := s.engine.Places(t.Context(), "blog")
	list, listErr := s.app.Processes()
	if err != nil || listErr != nil || len(list) != 2 {
		t.Fatalf("%v, %v, %v", list, err, listErr)
	}
	for i, p := range list {
		if p.PID != places[i].PID || !p.Since.Equal(places[i].Since) || p.Restarts != 1 {
			t.Errorf("%+v is listed as %+v", places[i], p)
		}
	}
}

// Each minute the runtime drops the units that nobody wants.
func TestDropsWhatNobodyWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		gone := engine.Unit{Name: engine.UnitName{App: "gone", Release: 3, Type: "web"}, Indexes: []int{1}, Argv: []string{"x"}}
		s.wants(gone)
		done := s.turn()
		stop := s.run()
		s.deploy()
		done()
		synctest.Wait()
		if got := s.unitNames(); got != "blog.v1.web" {
			t.Errorf("after the start the engine has %s", got)
		}
		first := s.alive()
		late := gone
		late.Name.App, late.Name.Release = "blog", 9
		s.wants(gone, late)
		time.Sleep(lookAgain + time.Second)
		synctest.Wait()
		if got := s.unitNames(); got != "blog.v1.web" {
			t.Errorf("after a minute the engine has %s", got)
		}
		if got := s.alive(); !slices.Equal(got, first) {
			t.Errorf("%q runs, then %q", first, got)
		}
		stop()
		s.engine.Close()
	})
}

// An app of which nothing should run lets go of what an earlier server ran.
func TestDropsOfAnAppThatIsNotLive(t *testing.T) {
	s := newStage(t)
	s.wants(engine.Unit{Name: engine.UnitName{App: "blog", Release: 1, Type: "web"}, Indexes: []int{1}, Argv: []string{"x"}})
	s.run()
	rig.Eventually(t, "it has none", func() bool { return s.unitNames() == "" })
}

// Processes of one type may be in several units, if one of them was restarted alone. The next server
// keeps them all.
func TestAdoptAfterARestart(t *testing.T) {
	s := newStage(t)
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"web": 3} })
	done := s.turn()
	stop := s.run()
	s.deploy()
	done()
	stop()
	u := engine.Unit{
		Name: engine.UnitName{App: "blog", Release: 1, Type: "web"}, Indexes: []int{1, 3}, Argv: []string{"x"},
		Listens: true, Grace: time.Second, Stable: time.Minute,
	}
	restarted := u
	restarted.Name.Copy, restarted.Indexes = 2, []int{2}
	s.wants(u, restarted)
	rig.Eventually(t, "the engine runs them", func() bool { return len(s.alive()) == 3 })
	before := s.names()
	s.run()
	s.runs("web.1 of v1, web.2 of v1, web.3 of v1")
	if started := s.names()[len(before):]; len(started) > 0 {
		t.Errorf("started %q", started)
	}
	if got := s.unitNames(); got != "blog.v1.web, blog.v1.web-2" {
		t.Errorf("the engine has %s", got)
	}
	s.set(func(now *volume.Wanted) { now.Restarts = map[string]string{"web": "a"} })
	rig.Eventually(t, "they are restarted", func() bool { return len(s.names()) == len(before)+3 && len(s.alive()) == 3 })
}

// refusal is why the engine does not take a unit.
type refusal struct {
	mu     sync.Mutex
	reason string
}

func (r *refusal) set(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = reason
}

func (r *refusal) refuse(u engine.Unit) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason == "" || u.Name.Type != "worker" {
		return nil
	}
	return errors.New(r.reason)
}

// If the engine does not take a unit, ps shows why, and the runtime asks again until it does.
func TestRefusedUnit(t *testing.T) {
	s := newStage(t)
	var why refusal
	s.engine.Refuse = why.refuse
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.turn()
	s.run()
	s.deploy()
	for _, reason := range []string{"no room", "no such machine"} {
		why.set(reason)
		s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
		rig.Eventually(t, "ps says "+reason, func() bool {
			list, _ := s.app.Processes()
			return len(list) == 2 && list[1].State == volume.Crashed && list[1].Reason == "the engine does not run it: "+reason
		})
	}
	why.set("")
	s.runs("web.1 of v1, worker.1 of v1")
}

// A release of which the engine does not take a unit fails, and says why.
func TestRefusedDeploy(t *testing.T) {
	s := newStage(t)
	s.engine.Refuse = func(engine.Unit) error { return errors.New("no room") }
	s.turn()
	s.run()
	if status := s.reaches(s.publish(), volume.Failed); status.Reason != "boot: the engine does not run it: no room" {
		t.Errorf("%q", status.Reason)
	}
}

// A unit that the engine refuses to change goes on as it is, and is changed when it can be.
func TestRefusedChange(t *testing.T) {
	s := newStage(t)
	var why refusal
	s.engine.Refuse = why.refuse
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
	s.turn()
	s.run()
	s.deploy()
	s.runs("web.1 of v1, worker.1 of v1")
	why.set("no room")
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 2} })
	rig.Eventually(t, "ps says why there is one", func() bool {
		list, _ := s.app.Processes()
		return len(list) == 3 && list[1].State == string(Running) && list[2].Reason == "the engine does not run it: no room"
	})
	why.set("")
	s.runs("web.1 of v1, worker.1 of v1, worker.2 of v1")
}

// wants makes the engine run units.
func (s *stage) wants(units ...engine.Unit) {
	s.t.Helper()
	for _, u := range units {
		if err := s.engine.Want(s.t.Context(), u); err != nil {
			s.t.Fatal(err)
		}
	}
}

// unitNames lists the names of the engine's units.
func (s *stage) unitNames() string {
	s.t.Helper()
	units, err := s.engine.Units(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, u := range units {
		names = append(names, u.String())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
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
