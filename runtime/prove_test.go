package runtime

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/formation"
	"paas/rig"
	"paas/volume"
)

// kill ends the newest process of that name, with exit.
func (s *stage) kill(name string, exit engine.Exit) {
	s.t.Helper()
	rig.Eventually(s.t, name+" runs", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range slices.Backward(s.all) {
			if a.Name == name && !a.Ended() {
				go a.End(exit)
				return true
			}
		}
		return false
	})
}

// pair returns a stage where v1 is live and v2 proves itself for an hour, each with a web process
// and a worker.
func pair(t *testing.T) *stage {
	t.Helper()
	return pairOf(t, nil)
}

// slowPair is like pair, but the worker stops only when letGo is called, and the engine reports
// late how the processes of v2 ended.
func slowPair(t *testing.T) (s *stage, letGo func()) {
	t.Helper()
	linger := make(chan struct{})
	s = pairOf(t, linger)
	letGo = sync.OnceFunc(func() { close(linger) })
	t.Cleanup(letGo)
	return s, letGo
}

func pairOf(t *testing.T, linger chan struct{}) *stage {
	t.Helper()
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
	s.done = s.turn()
	s.stop = s.run()
	s.deploy()
	s.runs("web.1 of v1, worker.1 of v1")
	s.proves(time.Hour)
	s.mu.Lock()
	s.linger = nil
	if linger != nil {
		s.linger = linger
	}
	s.mu.Unlock()
	s.publish()
	s.reaches(2, volume.Proving)
	s.runs("web.1 of v2, web.1 is standby, worker.1 of v2")
	return s
}

// proves sets how long new releases of the app are watched.
func (s *stage) proves(d time.Duration) {
	s.set(func(now *volume.Wanted) { now.Prove = &d })
}

// isBack checks that v1 is live again with all its processes, and that v2 ended in this state.
func (s *stage) isBack(state volume.State, reason string) {
	s.t.Helper()
	if now := s.reaches(2, state); !strings.Contains(now.Reason, reason) {
		s.t.Errorf("v2 is %s: %q, not %q", state, now.Reason, reason)
	}
	s.runs("web.1 of v1, worker.1 of v1")
	if now, _ := s.app.Status(1); now.State != volume.Live || s.app.Live() != 1 {
		s.t.Errorf("v1 is %s, v%d is live", now.State, s.app.Live())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.actors[1] == nil || s.actors[1].Ended() {
		s.t.Error("v1 was booted again")
	}
	if starts := slices.DeleteFunc(slices.Clone(s.started), func(n int) bool { return n != 1 }); len(starts) != 1 {
		s.t.Errorf("web of v1 was started %d times", len(starts))
	}
}

// While a release proves itself it has the traffic, the one before stands by, and ps tells them
// apart.
func TestProving(t *testing.T) {
	s := pair(t)
	if s.app.Live() != 1 {
		t.Errorf("v%d is live before v2 has proved itself", s.app.Live())
	}
	if now, _ := s.app.Status(2); now.Prove != time.Hour {
		t.Errorf("watched for %s", now.Prove)
	}
	processes, err := s.app.Processes()
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, p := range processes {
		states = append(states, p.Type+" of "+volume.Release{N: p.Release}.String()+" "+p.State)
	}
	if want := []string{"web of v2 running", "web of v1 standby", "worker of v2 running"}; !slices.Equal(states, want) {
		t.Errorf("ps shows %q", states)
	}
	s.proves(0)
	s.app.Cancel(2, "enough", volume.Remedy{})
	s.isBack(volume.Cancelled, "enough")
}

func TestProved(t *testing.T) {
	s := newStage(t)
	s.prove = 50 * time.Millisecond
	s.turn()
	s.run()
	one := s.publish()
	s.reaches(one, volume.Proving)
	if now := s.reaches(one, volume.Ready); !now.Proved {
		t.Error("it has not proved itself")
	}
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	s.proves(0)
	s.deploy()
	if now := s.reaches(one, volume.Retired); !now.Proved {
		t.Error("that it has proved itself is forgotten")
	}
	if now, _ := s.app.Status(2); now.Proved {
		t.Error("v2, which was not watched, has proved itself")
	}
}

func TestDiesWhileProving(t *testing.T) {
	for name, c := range map[string]struct {
		process string
		exit    engine.Exit
		reason  string
	}{
		"web":                {"v2 web.1 x", engine.Exit{Code: 7}, "web: exit status 7, "},
		"web, without error": {"v2 web.1 x", engine.Exit{}, "web: exited with status 0, "},
		"worker":             {"v2 worker.1 y", engine.Exit{Signal: 9}, "worker: signal: killed, "},
	} {
		t.Run(name, func(t *testing.T) {
			s := pair(t)
			s.kill(c.process, c.exit)
			s.isBack(volume.Failed, c.reason)
			log, err := os.ReadFile(s.app.ReleaseLog(2))
			if err != nil || !strings.Contains(string(log), "-----> v1 has the traffic again\n") {
				t.Errorf("its log: %q, %v", log, err)
			}
		})
	}
}

// A release whose worker cannot be started is taken back, as if the worker had crashed.
func TestWorkerCannotStartWhileProving(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.engine.Begin = func(p *enginetest.Process) error {
		if p.Type == "worker" && p.Release == 2 {
			return engine.StartError{Status: 127, Reason: "worker: y: not found in PATH"}
		}
		return s.begins(p)
	}
	s.turn()
	s.run()
	s.deploy()
	s.proves(time.Hour)
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
	s.runs("web.1 of v1, worker.1 of v1")
	s.publish()
	s.isBack(volume.Failed, "worker: y: not found in PATH, ")
}

// A worker that exits with status 0 is no failure: it is started again, as usual.
func TestWorkerEndsWhileProving(t *testing.T) {
	s := pair(t)
	s.kill("v2 worker.1 y", engine.Exit{})
	s.runs("web.1 of v2, web.1 is standby, worker.1 of v2")
	if now, _ := s.app.Status(2); now.State != volume.Proving {
		t.Errorf("v2 is %s: %s", now.State, now.Reason)
	}
}

// A process of the release that stands by may crash. It runs again when it is needed.
func TestStandbyDies(t *testing.T) {
	s := pair(t)
	s.kill("v1 web.1 x", engine.Exit{Code: 2})
	rig.Eventually(t, "v1 is started again", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Equal(s.started, []int{1, 2, 1})
	})
	s.runs("web.1 of v2, web.1 is standby, worker.1 of v2")
	s.kill("v2 web.1 x", engine.Exit{Code: 7})
	s.reaches(2, volume.Failed)
	s.runs("web.1 of v1, worker.1 of v1")
}

// If the maker dies, the turn is free, and the app takes the release back when it reconciles next.
func TestMakerGoneWhileProving(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
	done := s.turn()
	s.run()
	s.deploy()
	s.proves(time.Hour)
	s.publish()
	s.reaches(2, volume.Proving)
	done()
	s.app.Ring()
	s.isBack(volume.Cancelled, cutOff)
}

// If the server stops while a release proves itself, the next one starts the live release, and
// takes back the other if its maker is gone.
func TestServerGoneWhileProving(t *testing.T) {
	s := newStage(t)
	s.prove = time.Hour
	s.proves(0)
	done := s.turn()
	stop := s.run()
	s.deploy()
	s.set(func(now *volume.Wanted) { now.Prove = nil })
	s.publish()
	s.reaches(2, volume.Proving)
	stop()
	done()
	s.run()
	s.reaches(2, volume.Cancelled)
	s.runs("web.1 of v1")
	if s.app.Live() != 1 {
		t.Errorf("v%d is live", s.app.Live())
	}
}

// An app that slept before a deploy sleeps again when the release is taken back.
func TestAsleepBehindProving(t *testing.T) {
	s := newStage(t)
	s.turn()
	s.run()
	s.deploy()
	s.set(func(now *volume.Wanted) { now.Sleep = time.Millisecond })
	s.runs("")
	s.proves(time.Hour)
	s.publish()
	s.reaches(2, volume.Proving)
	s.kill("v2 web.1 x", engine.Exit{Code: 7})
	s.reaches(2, volume.Failed)
	s.runs("")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Asleep || slices.Contains(s.started[1:], 1) {
		t.Errorf("the state for visitors is %s, started %v", s.state, s.started)
	}
}

// If the first release is taken back, no release is live.
func TestFirstDiesWhileProving(t *testing.T) {
	s := newStage(t)
	s.prove = time.Hour
	s.turn()
	s.run()
	s.publish()
	s.reaches(1, volume.Proving)
	s.kill("v1 web.1 x", engine.Exit{Code: 7})
	s.reaches(1, volume.Failed)
	s.runs("")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Down {
		t.Errorf("the state for visitors is %s", s.state)
	}
}

// A process that has exited when its check passes is not healthy: no postdeploy runs, and it never
// gets the traffic.
func TestExitedBeforeTheSwitch(t *testing.T) {
	s := newStage(t)
	s.file = `{"scripts": {"dokku": {"postdeploy": "true"}}, "healthchecks": {"web": [{"type": "startup", "command": ["probe"]}]}}`
	s.turn()
	s.run()
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
		if p.Type == "check" && p.Release == 2 {
			s.actors[2].End(engine.Exit{Code: 9})
		}
		return engine.Exit{}, p.Type != "web"
	}
	s.deploy()
	s.publish()
	if now := s.reaches(2, volume.Failed); now.Reason != "boot: web: exit status 9, after its port answered" {
		t.Errorf("%+v", now)
	}
	s.runs("web.1 of v1")
	log, err := os.ReadFile(s.app.ReleaseLog(2))
	if err != nil || strings.Contains(string(log), "healthy after") || strings.Contains(string(log), "postdeploy") {
		t.Errorf("its log: %q, %v", log, err)
	}
}

// If a release fails after its release phase, the push says that the phase's effects are not
// undone.
func TestWhatThePhaseDidIsNotUndone(t *testing.T) {
	for name, c := range map[string]struct {
		fails string // the process type that fails
		said  bool
	}{
		"the boot":  {"web", true},
		"the phase": {"release", false},
	} {
		s := newStage(t)
		s.processes = map[string]string{"web": "x", "release": "migrate"}
		s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
			if p.Type == c.fails {
				return engine.Exit{Code: 1}, true
			}
			return engine.Exit{}, p.Type == "release"
		}
		s.turn()
		s.run()
		s.publish()
		s.reaches(1, volume.Failed)
		log, err := os.ReadFile(s.app.ReleaseLog(1))
		if said := strings.Contains(string(log), "what the release phase of v1 did, to a database for example, is not undone"); err != nil || said != c.said {
			t.Errorf("%s fails: %q, %v", name, log, err)
		}
	}
}

// manualDeploy returns the deploy of v1, which has the traffic. The test is the app's goroutine,
// and makes the calls that other goroutines would post.
func manualDeploy(t *testing.T, s *stage) *deploy {
	t.Helper()
	s.turn()
	s.prove = time.Hour
	h := newLoop(s.runtime(), s.app)
	watching, unwatch := context.WithCancel(t.Context())
	go h.rt.Engine.Watch(watching, func(string) { h.units.refresh() })
	go func() {
		for range h.posts {
		}
	}()
	d := &deploy{loop: h, n: s.publish(), ctx: t.Context(), cancel: func() {}}
	h.deploying = d
	var err error
	if d.instance, err = d.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	unwatch() // from here on the engine's reports are ignored
	d.takeTraffic()
	if s.state != Running {
		t.Fatalf("the state for visitors is %s", s.state)
	}
	return d
}

// isNotAccepted checks that step does not accept d, although its time is over and the maker has
// committed it.
func (s *stage) isNotAccepted(d *deploy) {
	s.t.Helper()
	d.due = true
	s.app.Commit(1)
	d.step()
	if now, _ := s.app.Status(1); now.State != volume.Proving || s.app.Live() != 0 {
		s.t.Errorf("v1 is %s, v%d is live", now.State, s.app.Live())
	}
}

// learnsEnd tells the app's goroutine how the process of m has ended.
func (s *stage) learnsEnd(m *member) {
	s.t.Helper()
	rig.Eventually(s.t, "it is known how it ended", func() bool {
		m.in.loop.units.refresh()
		return isClosed(m.proc.done)
	})
	m.ended(s.t.Context(), m.proc, cmp.Or(m.proc.Err(), errExited))
}

// newestOf returns the process of this type that was started last.
func (s *stage) newestOf(processType string) *enginetest.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range slices.Backward(s.all) {
		if p.Type == processType {
			return p
		}
	}
	return nil
}

// On a busy machine it takes a while until it is known how a process ended. The traffic goes back
// as soon as it has exited, and the release is not accepted in between.
func TestExitedWhileProving(t *testing.T) {
	s := newStage(t)
	d := manualDeploy(t, s)
	s.actor(1).Leave()
	s.isNotAccepted(d)
	m := d.instance.members[place{formation.Web, 1}]
	m.exited(t.Context(), m.proc)
	if s.state != Down {
		t.Errorf("the state for visitors is %s", s.state)
	}
	s.actor(1).End(crash)
	s.learnsEnd(m)
	if now, _ := s.app.Status(1); now.State != volume.Failed || !strings.Contains(now.Reason, "web: exit status 1, ") {
		t.Errorf("%+v", now)
	}
}

// A release is not accepted if a worker has crashed and the app's goroutine does not know it yet.
func TestWorkerCrashesAsItsTimeIsOver(t *testing.T) {
	s := newStage(t)
	s.processes = map[string]string{"web": "x", "worker": "y"}
	s.file = `{"formation": {"worker": {"quantity": 1}}, "healthchecks": {"worker": [{"type": "startup", "command": ["true"]}]}}`
	s.ends = func(p *enginetest.Process) (engine.Exit, bool) { return engine.Exit{}, p.Type == "check" }
	d := manualDeploy(t, s)
	m := d.instance.members[place{"worker", 1}]
	s.newestOf("worker").End(crash)
	s.isNotAccepted(d)
	s.learnsEnd(m)
	if now, _ := s.app.Status(1); now.State != volume.Failed || !strings.Contains(now.Reason, "worker: exit status 1, ") {
		t.Errorf("%+v", now)
	}
}

// A server that has no file descriptor left moves the link and records the release as live, or does
// neither: to take back a release that the link names would leave two live ones.
func TestAcceptedWithoutDescriptors(t *testing.T) {
	s := newStage(t)
	d := manualDeploy(t, s)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none)
	d.accept()
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
	d.loop.writeVerdicts()
	now, err := s.app.Status(1)
	if err != nil || now.State != volume.Live && now.State != volume.Failed {
		t.Errorf("v1 is %s: %s, %v", now.State, now.Reason, err)
	}
	if linked := s.app.Live() == 1; linked != (now.State == volume.Live) {
		t.Errorf("v1 is %s: %s; v%d is live", now.State, now.Reason, s.app.Live())
	}
}

// exits makes the web process of v2 exit, and waits until the traffic is back. It is not known yet
// how the process ended.
func (s *stage) exits() {
	s.t.Helper()
	s.mu.Lock()
	told := len(s.routes)
	web := s.actors[2]
	s.mu.Unlock()
	web.Leave()
	rig.Eventually(s.t, "the traffic is back", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.routes) > told
	})
}

// After a release has failed, the worker of the release before starts only when the failed
// release's worker has ended.
func TestWorkerStartsAfterTheOther(t *testing.T) {
	s, letGo := slowPair(t)
	s.exits()
	s.set(func(now *volume.Wanted) { now.Formation["web"] = 2 })
	var list []volume.Process
	rig.Eventually(t, "v1 is scaled", func() bool {
		list, _ = s.app.Processes()
		return slices.ContainsFunc(list, func(p volume.Process) bool { return p.Release == 1 && p.Index == 2 })
	})
	if slices.ContainsFunc(list, func(p volume.Process) bool { return p.Release == 1 && p.Type == "worker" }) {
		t.Errorf("two workers at once: %+v", list)
	}
	letGo()
	s.runs("web.1 of v1, web.2 of v1, worker.1 of v1")
	s.actor(2).Stop(0)
	s.reaches(2, volume.Failed)
}

// A server that stops at that time leaves no process behind.
func TestServerStopsAfterAnExit(t *testing.T) {
	s, letGo := slowPair(t)
	s.exits()
	letGo()
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		if !a.Ended() {
			t.Errorf("%s runs on", a.Name)
		}
	}
}

// A release that is taken back keeps its files until the last of its processes has ended: one may
// still answer a visitor, or read what it needs to stop well.
func TestBuildOfOneTakenBack(t *testing.T) {
	s, letGo := slowPair(t)
	s.app.Cancel(2, "enough", volume.Remedy{})
	s.reaches(2, volume.Cancelled)
	if left := s.left(); !slices.Equal(left, []int{1, 2}) {
		t.Errorf("left are the builds of %v", left)
	}
	letGo()
	s.done()
	rig.Eventually(t, "its build is removed", func() bool { return slices.Equal(s.left(), []int{1}) })
}

// When a release is taken back, its cron runs end. A run of the release before goes on.
func TestCronOfOneTakenBack(t *testing.T) {
	for _, first := range []bool{false, true} {
		s := newStage(t)
		s.file = `{"cron": [{"schedule": "@yearly", "command": "tidy"}]}`
		s.prove = time.Hour
		s.turn()
		s.run()
		n := 1
		if !first {
			s.proves(0)
			s.deploy()
			s.asks("one")
			s.set(func(now *volume.Wanted) { now.Prove = nil })
			n = 2
		}
		s.file = `{"cron": [{"schedule": "@yearly", "command": "other"}]}`
		s.publish()
		s.reaches(n, volume.Proving)
		s.asks("two")
		s.app.Cancel(n, "enough", volume.Remedy{})
		s.reaches(n, volume.Cancelled)
		rig.Eventually(t, "its run has ended", func() bool { return s.asked("two") == "killed: its release was taken back" })
		if !first && s.asked("one") != "" {
			t.Errorf("the run of v1 ended: %s", s.asked("one"))
		}
	}
}

// asks starts a run of the first cron entry, and waits until it runs.
func (s *stage) asks(token string) {
	s.t.Helper()
	s.set(func(now *volume.Wanted) { now.Cron = volume.CronRequest{Entry: 1, Token: token} })
	rig.Eventually(s.t, "cron:run "+token, func() bool { return s.asked(token) == "" })
}

// asked returns how the run that was asked for with token ended; empty: it goes on.
func (s *stage) asked(token string) string {
	now, err := s.app.Cron()
	for _, run := range now.Asked {
		if run.Token == token {
			return run.Result
		}
	}
	return fmt.Sprint("not begun: ", err)
}

// If the server is killed after a release was accepted and before it was live, the release need not
// prove itself again.
func TestAcceptedBeforeAKill(t *testing.T) {
	s := newStage(t)
	s.prove = time.Hour
	s.turn()
	n := s.publish()
	s.app.SetStatus(n, volume.Status{State: volume.Ready, Proved: true})
	s.app.Commit(n)
	s.run()
	if now := s.reaches(n, volume.Live); !now.Proved {
		t.Error("that it has proved itself is forgotten")
	}
}

// A worker starts when that of the release before has ended. It is watched from then on for as long
// as any other process, unless that one takes too long to stop.
func TestWorkerThatWaitsIsWatched(t *testing.T) {
	for _, c := range []struct {
		stops, crashes time.Duration // the old worker after the switch, the new one after its start
		want           volume.State
	}{
		{2 * time.Second, 9 * time.Second, volume.Failed},
		{2 * time.Second, 11 * time.Second, volume.Live},
		{15 * time.Second, 4 * time.Second, volume.Failed},
		{15 * time.Second, 6 * time.Second, volume.Live},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			s.processes = map[string]string{"web": "x", "worker": "y"}
			s.set(func(now *volume.Wanted) { now.Formation = map[string]int{"worker": 1} })
			linger := make(chan struct{})
			s.linger = linger
			s.turn()
			s.run()
			s.deploy()
			s.runs("web.1 of v1, worker.1 of v1")
			s.proves(10 * time.Second)
			s.publish()
			s.reaches(2, volume.Proving)
			s.app.Commit(2)
			s.runs("web.1 of v2, web.1 is standby, worker.1 is stopping")
			time.Sleep(c.stops)
			close(linger)
			time.Sleep(c.crashes)
			s.kill("v2 worker.1 y", engine.Exit{Code: 4})
			if now := s.reaches(2, c.want); c.want == volume.Failed && !strings.HasPrefix(now.Reason, "worker: exit status 4, ") {
				t.Errorf("%+v", now)
			}
		})
	}
}

func TestProof(t *testing.T) {
	web := map[string]string{"web": "x"}
	uptime := `{"healthchecks": {"web": [{"type": "startup", "uptime": 3}]}}`
	for name, c := range map[string]struct {
		built   volume.Built
		file    string
		of      int  // the release that is repeated
		proved  bool // the repeated release has proved itself
		setting time.Duration
		want    time.Duration
		proves  bool
	}{
		"as set":                    {built: volume.Built{Processes: web}, setting: 5 * time.Second, want: 5 * time.Second, proves: true},
		"off":                       {built: volume.Built{Processes: web}},
		"static":                    {built: volume.Built{Static: "."}, setting: 5 * time.Second},
		"static, with a worker":     {built: volume.Built{Static: ".", Processes: map[string]string{"worker": "y"}}, setting: 5 * time.Second, want: 5 * time.Second, proves: true},
		"what repeats a proved one": {built: volume.Built{Processes: web}, of: 1, proved: true, setting: 5 * time.Second, proves: true},
		"what repeats another":      {built: volume.Built{Processes: web}, of: 1, setting: 5 * time.Second, want: 5 * time.Second, proves: true},
		"uptime counts":             {built: volume.Built{Processes: web}, file: uptime, setting: 5 * time.Second, want: 2 * time.Second, proves: true},
		"uptime is enough":          {built: volume.Built{Processes: web}, file: uptime, setting: 2 * time.Second, proves: true},
	} {
		s := newStage(t)
		s.file = c.file
		n := s.publish()
		if err := s.app.SetStatus(n, volume.Status{State: volume.Retired, Proved: c.proved}); err != nil {
			t.Fatal(err)
		}
		h := newLoop(&Runtime{Volume: s.app.Volume(), Log: slog.New(slog.DiscardHandler)}, s.app)
		i := newInstance(h, n+1)
		i.built = c.built
		i.release = volume.Release{N: n + 1, Of: c.of}
		first, err := s.app.Release(n)
		if err != nil {
			t.Fatal(err)
		}
		i.release.Build = first.Build
		if err := i.find(); err != nil {
			t.Fatal(err)
		}
		settings := volume.Wanted{Prove: &c.setting, Formation: map[string]int{"worker": 1}}
		if got, proves := h.proof(i, settings); got != c.want || proves != c.proves {
			t.Errorf("%s: %s, %v, not %s, %v", name, got, proves, c.want, c.proves)
		}
	}
}
