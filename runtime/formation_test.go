package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/rig"
	"paas/volume"
)

func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		types          []string
		scaled, inFile map[string]int
		want           string
	}{
		{[]string{"worker", "web"}, nil, nil, "[web.1]"},
		{[]string{"worker"}, nil, nil, "[]"},
		{[]string{"worker", "web"}, nil, map[string]int{"web": 2, "worker": 1, "gone": 3}, "[web.1 web.2 worker.1]"},
		{[]string{"worker", "web"}, map[string]int{"web": 1}, map[string]int{"web": 2, "worker": 1}, "[web.1 worker.1]"},
		{[]string{"worker", "web", "clock"}, map[string]int{"web": 0, "worker": 10}, nil,
			"[worker.1 worker.2 worker.3 worker.4 worker.5 worker.6 worker.7 worker.8 worker.9 worker.10]"},
		{[]string{"worker", "web", "clock"}, map[string]int{"clock": 1, "worker": 1}, nil, "[web.1 clock.1 worker.1]"},
	} {
		if got := fmt.Sprint(places(test.types, test.scaled, test.inFile)); got != test.want {
			t.Errorf("%v %v %v: %s, want %s", test.types, test.scaled, test.inFile, got, test.want)
		}
	}
}

// running lists the processes that run, as ps shows them.
func (s *stage) running() string {
	processes, err := s.app.Processes()
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, p := range processes {
		if p.State == "running" {
			all = append(all, fmt.Sprintf("%s.%d of v%d", p.Type, p.Index, p.Release))
		} else {
			all = append(all, fmt.Sprintf("%s.%d is %s", p.Type, p.Index, p.State))
		}
	}
	return strings.Join(all, ", ")
}

func (s *stage) runs(want string) {
	s.t.Helper()
	rig.Eventually(s.t, want, func() bool { return s.running() == want })
}

// names lists the started processes in order, and whether each has ended since.
func (s *stage) names() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		all = append(all, a.Name)
	}
	return all
}

// set changes the app's settings, as a command does.
func (s *stage) set(change func(*volume.Wanted)) {
	s.t.Helper()
	now, err := s.app.Wanted()
	if err == nil {
		change(&now)
		err = s.app.SetWanted(now)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.app.Ring()
}

func (s *stage) deploy() int {
	s.t.Helper()
	n := s.publish()
	s.reaches(n, volume.Ready)
	s.app.Commit(n)
	s.reaches(n, volume.Live)
	return n
}

// Workers start when the release has the traffic, after those of the old release have ended.
func TestWorkersFollow(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y", "release": "true"}
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) { return engine.Exit{}, p.Type == "release" }
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"web": 2, "worker": 1} })
	s.turn()
	s.run()
	one := s.publish()
	s.reaches(one, volume.Ready)
	s.app.Commit(one)
	s.runs("web.1 of v1, web.2 of v1, worker.1 of v1")

	s.deploy()
	s.runs("web.1 of v2, web.2 of v2, worker.1 of v2")
	s.mu.Lock()
	var order []string
	for _, a := range s.all {
		order = append(order, a.Name)
	}
	if order[0] != "v1 release.1 true" || slices.Index(order, "v1 worker.1 y") != 3 {
		t.Errorf("started in the order %q", order)
	}
	for _, a := range s.all {
		if a.Release == one && !a.Ended() {
			t.Errorf("%s still runs", a.Name)
		}
	}
	s.mu.Unlock()
}

// A worker with a startup check is booted beside the live release, and can fail the push.
func TestCheckedWorkerBootsEarly(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.file = `{"formation": {"worker": {"quantity": 1}}, "healthchecks": {"worker": [{"type": "startup", "command": ["probe"], "attempts": 1, "wait": 0.01}]}}`
	healthy := true
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
		if healthy {
			return engine.Exit{}, p.Type == "check"
		}
		return engine.Exit{Code: 4}, p.Type == "check"
	}
	s.turn()
	s.run()
	s.deploy()
	s.runs("web.1 of v1, worker.1 of v1")
	s.mu.Lock()
	healthy = false
	s.mu.Unlock()
	two := s.publish()
	if status := s.reaches(two, volume.Failed); !strings.HasPrefix(status.Reason, "boot: worker: probe: exit status 4, for ") {
		t.Errorf("%+v", status)
	}
	s.runs("web.1 of v1, worker.1 of v1")
}

// The processes follow the wanted formation without a new release.
func TestScale(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.turn()
	s.run()
	s.deploy()
	for _, step := range []struct {
		formation map[string]int
		stopped   int
		want      string
	}{
		{map[string]int{"web": 3}, 0, "web.1 of v1, web.2 of v1, web.3 of v1"},
		{map[string]int{"web": 1, "worker": 2}, 0, "web.1 of v1, worker.1 of v1, worker.2 of v1"},
		{map[string]int{"web": 1, "worker": 2}, 1, ""},
		{map[string]int{"web": 1}, 0, "web.1 of v1"},
		{map[string]int{"web": 0}, 0, ""},
		{nil, 0, "web.1 of v1"},
	} {
		s.set(func(now *volume.Wanted) { now.Formation, now.Stopped = step.formation, step.stopped })
		s.runs(step.want)
	}
	s.set(func(now *volume.Wanted) { now.Stopped = 1 })
	s.runs("")
	s.deploy()
	s.runs("web.1 of v2")
}

// A restarted web process starts beside the old one, a worker after the old one has ended. A server
// that starts does not repeat earlier restarts.
func TestRestartOne(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"web": 2, "worker": 1} })
	s.turn()
	stop := s.run()
	s.deploy()
	s.runs("web.1 of v1, web.2 of v1, worker.1 of v1")
	restarted := func(name, token string) {
		t.Helper()
		before := len(s.names())
		s.set(func(now *volume.Wanted) { now.Restarts = map[string]string{name: token} })
		rig.Eventually(t, name+" is restarted", func() bool { return len(s.names()) == before+1 })
		s.runs("web.1 of v1, web.2 of v1, worker.1 of v1")
		if last := s.names()[before]; !strings.HasPrefix(last, "v1 "+name+" ") {
			t.Errorf("%s was started", last)
		}
	}
	restarted("web.2", "a")
	// Each token counts once: a restart of one process does not repeat the restart of another.
	s.set(func(now *volume.Wanted) { now.Restarts["worker.1"] = "b" })
	rig.Eventually(t, "the worker is restarted", func() bool { return len(s.names()) == 5 })
	s.runs("web.1 of v1, web.2 of v1, worker.1 of v1")
	stop()
	s.run()
	s.runs("web.1 of v1, web.2 of v1, worker.1 of v1")
	if n := len(s.names()); n != 8 {
		t.Errorf("%d starts: %q", n, s.names())
	}
}

// If the new process of a web restart does not become healthy, the old one keeps running.
func TestRestartFails(t *testing.T) {
	s := newStage(t)
	s.turn()
	s.run()
	s.deploy()
	first := s.actor(1)
	s.file = ""
	s.mu.Lock()
	s.fail = errors.New("no such program")
	s.mu.Unlock()
	s.set(func(now *volume.Wanted) { now.Restarts = map[string]string{"web": "a"} })
	rig.Eventually(t, "the failure is recorded", func() bool {
		p, _ := s.app.Processes()
		return len(p) == 1 && p[0].Restart == "a" && p[0].Failure == "no such program" && p[0].State == "running"
	})
	if first.Ended() {
		t.Error("the old process was stopped")
	}
}

// The commands of a deploy run in order. If one fails, the deploy fails. A restart runs none.
func TestPhases(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "release": "r"}
	s.file = `{"scripts": {"postdeploy": "first", "dokku": {"predeploy": "pre", "postdeploy": "post"}}}`
	failing := ""
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
		line := strings.Join(p.Argv, " ")
		if failing != "" && line == failing {
			return engine.Exit{Code: 3}, true
		}
		return engine.Exit{}, line != "x"
	}
	s.turn()
	s.run()
	s.deploy()
	want := []string{"v1 predeploy.1 pre", "v1 release.1 r", "v1 web.1 x", "v1 postdeploy.1 post", "v1 postdeploy.1 first"}
	if got := s.names(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for line, reason := range map[string]string{"pre": "predeploy: exit status 3", "r": "release: exit status 3", "post": "postdeploy: exit status 3"} {
		s.mu.Lock()
		failing = line
		s.mu.Unlock()
		if status := s.reaches(s.publish(), volume.Failed); status.Reason != reason {
			t.Errorf("%s: %+v", line, status)
		}
	}
	r, err := s.app.Release(1)
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.names())
	r.Cause = volume.CauseRestart
	r, err = s.app.Publish(r)
	if err != nil {
		t.Fatal(err)
	}
	s.reaches(r.N, volume.Ready)
	if got := s.names()[before:]; len(got) != 1 || !strings.Contains(got[0], "web.1") {
		t.Errorf("a restart ran %q", got)
	}
}

// A process type named Web is refused, with the reason.
func TestWebInCapitals(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"Web": "x", "Another": "y"}
	s.turn()
	s.run()
	status := s.reaches(s.publish(), volume.Failed)
	if status.Hint != "the Procfile's line Web: is another type; write web: in small letters" {
		t.Errorf("%+v", status)
	}
}

// A release that would start no process is refused, unless the formation asks for none.
func TestNothingRuns(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"worker": "y"}
	s.turn()
	s.run()
	status := s.reaches(s.publish(), volume.Failed)
	if status.Reason != "boot: no web process" ||
		status.Remedy != (volume.Remedy{Do: volume.RunOther, App: "blog", With: "worker"}) {
		t.Errorf("%+v", status)
	}
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
	s.deploy()
	s.runs("worker.1 of v2")
}

// A process that fails its liveness check is restarted. One that fails its readiness check gets no
// traffic until it passes.
func TestChecksWhileItRuns(t *testing.T) {
	s := newStage(t)
	s.file = `{"healthchecks": {"web": [{"type": "liveness", "command": ["alive"], "attempts": 2, "wait": 0.005},
		{"type": "readiness", "command": ["ready"], "attempts": 1, "wait": 0.005}]}}`
	var failing string
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
		if p.Type == "check" && p.Argv[0] == failing {
			return engine.Exit{Code: 1}, true
		}
		return engine.Exit{}, p.Type == "check"
	}
	fail := func(what string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		failing = what
	}
	s.turn()
	s.run()
	s.deploy()
	s.runs("web.1 of v1")
	fail("ready")
	s.runs("web.1 is unready")
	s.mu.Lock()
	if last := s.routes[len(s.routes)-1]; len(last) != 0 {
		t.Errorf("it is sent requests: %q", last)
	}
	s.mu.Unlock()
	fail("")
	s.runs("web.1 of v1")
	fail("alive")
	rig.Eventually(t, "it is restarted", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.started) > 1
	})
	fail("")
	s.runs("web.1 of v1")
	if p, _ := s.app.Processes(); p[0].Restarts == 0 || time.Since(p[0].Since) > time.Minute {
		t.Errorf("%+v", p)
	}
}
