package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/engine/keep"
	"paas/logs"
	"paas/rig"
	"paas/volume"
)

// stage is a runtime on a volume of one app, with an engine in memory.
type stage struct {
	t      *testing.T
	app    volume.App
	rt     *Runtime
	engine *enginetest.Memory

	stop func() // ends the runtime
	done func() // releases the turn

	mu        sync.Mutex
	build     func(ctx context.Context) error // nil: it succeeds
	builds    int
	processes map[string]string // of later builds; nil: one web
	file      string            // app.json of later builds

	ends    func(*enginetest.Process) (engine.Exit, bool) // returns how a process ends at once, if it does; nil: none does
	fail    error                                         // error of each later start
	slowWeb bool                                          // linger applies to web too
	linger  <-chan struct{}                               // stopped processes other than web end when it closes; nil: at once

	started  []int                       // releases of web.1, in order
	actors   map[int]*enginetest.Process // web.1 of each release, the newest
	all      []*enginetest.Process
	routes   [][]string // addresses, each time the front was told
	rules    volume.Rules
	state    State // state for visitors
	told     []State
	used     time.Time // when the last request ended
	inFlight bool      // a request is in progress
	slept    int       // how often the app was put to sleep
	early    bool      // a request comes before the runtime looks
	log      slog.Handler
	prove    time.Duration
}

func (s *stage) makes(ctx context.Context, _ engine.BuildJob) (volume.Built, error) {
	s.mu.Lock()
	s.builds++
	build := s.build
	s.mu.Unlock()
	if build != nil {
		if err := build(ctx); err != nil {
			return volume.Built{}, err
		}
	}
	if s.processes == nil {
		return volume.Built{Processes: map[string]string{"web": "x"}}, nil
	}
	return volume.Built{Processes: s.processes}, nil
}

func (s *stage) begins(p *enginetest.Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.all = append(s.all, p)
	if p.Type != "web" || s.slowWeb {
		p.Linger = s.linger
	}
	if s.ends != nil {
		if exit, over := s.ends(p); over {
			p.End(exit)
			return nil
		}
	}
	if p.Type == "web" && p.Index == 1 {
		s.started = append(s.started, p.Release)
		s.actors[p.Release] = p
	}
	return nil
}

func (s *stage) Route(r Route) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.state, s.told = r.Rules, r.State, append(s.told, r.State)
	s.routes = append(s.routes, r.Addrs)
	drained := make(chan struct{})
	close(drained)
	return drained
}

func (s *stage) Remove(string) <-chan struct{} { return nil }

func (s *stage) Sleep(_ string, idle time.Duration) (bool, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight {
		return false, idle
	}
	if left := time.Until(s.used.Add(idle)); left > 0 {
		return false, left
	}
	s.state = Asleep
	s.slept++
	return true, 0
}

func (s *stage) actor(n int) *enginetest.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.actors[n]
}

// crash is the exit of a process that fails.
var crash = engine.Exit{Code: 1}

func newStage(t *testing.T) *stage { return newStageIn(t, t.TempDir()) }

func newStageIn(t *testing.T, root string) *stage {
	v := &volume.Volume{Root: root, Poll: 10 * time.Millisecond}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	app, err := v.Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, app: app, actors: map[int]*enginetest.Process{}, log: slog.DiscardHandler}
	s.engine = &enginetest.Memory{Begin: s.begins, Make: s.makes}
	s.engine.Log = func(_, name string) keep.Log {
		return &logs.File{Path: filepath.Join(app.Logs(), name+".log")}
	}
	return s
}

// runtime returns a runtime that does not run yet.
func (s *stage) runtime() *Runtime {
	return &Runtime{Volume: s.app.Volume(), Engine: s.engine, Front: s, Prove: s.prove, Log: slog.New(s.log)}
}

// run runs the runtime until the returned function is called, or the test ends.
func (s *stage) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	rt := s.runtime()
	s.rt = rt
	if s.early {
		rt.Wake(s.app.Name)
	}
	ended := make(chan struct{})
	go func() {
		rt.Run(ctx)
		close(ended)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	s.t.Cleanup(stop)
	return stop
}

// publish makes the next release, with a new build. The caller holds the app's turn if the test
// needs that.
func (s *stage) publish() int {
	s.t.Helper()
	dir, err := s.app.Volume().TempDir()
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "tree"), 0o755)
	}
	if err == nil && s.file != "" {
		err = os.WriteFile(filepath.Join(dir, "tree", "app.json"), []byte(s.file), 0o644)
	}
	var b volume.Build
	if err == nil {
		b, err = s.app.PublishBuild(volume.Build{Commit: "0123456789abcdef"}, dir)
	}
	var r volume.Release
	if err == nil {
		r, err = s.app.Publish(volume.Release{Build: b.ID, Commit: b.Commit})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r.N
}

// turn holds the app's turn until the test ends or the returned function is called.
func (s *stage) turn() (done func()) {
	done, err := s.app.Turn(context.Background(), "the test", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(done)
	return done
}

func (s *stage) reaches(n int, want volume.State) volume.Status {
	s.t.Helper()
	var now volume.Status
	rig.Eventually(s.t, fmt.Sprintf("v%d is %s", n, want), func() bool {
		now, _ = s.app.Status(n)
		return now.State == want
	})
	return now
}

func TestTwoPhases(t *testing.T) {
	s := newStage(t)
	s.turn()
	s.run()
	one := s.publish()
	s.reaches(one, volume.Ready)
	if s.app.Live() != 0 {
		t.Error("live before the commit")
	}
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	two := s.publish()
	s.reaches(two, volume.Ready)
	s.app.Commit(two)
	s.reaches(two, volume.Live)
	s.reaches(one, volume.Retired)
	rig.Eventually(t, "the old process is stopped", func() bool { return s.actor(one).Ended() })
	if s.app.Live() != two || s.actor(two).Ended() {
		t.Errorf("v%d is live", s.app.Live())
	}
}

func TestCancelInTheBuild(t *testing.T) {
	s := newStage(t)
	s.build = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	s.turn()
	s.run()
	n := s.publish()
	s.reaches(n, volume.Building)
	s.app.Cancel(n, "its pusher left", volume.Remedy{})
	status := s.reaches(n, volume.Cancelled)
	if status.Reason != "its pusher left" {
		t.Errorf("%+v", status)
	}
	if status.Remedy.Do != volume.DeployAgain {
		t.Errorf("no remedy: %+v", status)
	}
	if len(s.started) > 0 {
		t.Error("something was started")
	}
	if r, _ := s.app.Release(n); r.Build == "" {
		t.Error("no build")
	} else if _, err := os.Stat(s.app.BuildTree(r.Build)); err == nil {
		t.Error("its build is still there")
	}
}

// A release whose maker has died is cancelled: the turn is free, or another maker has it.
func TestAbandoned(t *testing.T) {
	s := newStage(t)
	done := s.turn()
	s.run()
	one := s.publish()
	s.reaches(one, volume.Ready)
	done()
	s.app.Ring()
	s.reaches(one, volume.Cancelled)

	done = s.turn()
	two := s.publish()
	s.reaches(two, volume.Ready)
	three := s.publish() // by the maker that has the turn now
	s.reaches(two, volume.Cancelled)
	s.reaches(three, volume.Ready)
	s.app.Commit(three)
	s.reaches(three, volume.Live)
	done()
}

// A release whose process ends between ready and commit does not get the traffic.
func TestDeadCandidate(t *testing.T) {
	s := newStage(t)
	s.turn()
	s.run()
	one := s.publish()
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	two := s.publish()
	s.reaches(two, volume.Ready)
	s.actor(two).Stop(0)
	if status := s.reaches(two, volume.Failed); status.Reason == "" || status.Hint == "" {
		t.Errorf("%+v", status)
	}
	s.app.Commit(two)
	three := s.publish()
	s.reaches(three, volume.Ready)
	if s.app.Live() != one {
		t.Errorf("v%d is live", s.app.Live())
	}
}

// The server died after it made v2 live and before it recorded that.
func TestRepair(t *testing.T) {
	s := newStage(t)
	s.turn()
	stop := s.run()
	one := s.publish()
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	two := s.publish()
	s.reaches(two, volume.Ready)
	stop()
	s.app.Commit(two)
	s.app.SetLive(two)
	s.run()
	s.reaches(two, volume.Live)
	s.reaches(one, volume.Retired)
	rig.Eventually(t, "v2 runs", func() bool {
		p, _ := s.app.Processes()
		return len(p) == 1 && p[0].State == "running" && p[0].Release == two
	})
}

// breakDisk makes all writes to the volume fail, or work again: it puts a file in the place of
// tmp/.
func (s *stage) breakDisk(broken bool) {
	s.t.Helper()
	tmp := filepath.Join(s.app.Volume().Root, "tmp")
	var err error
	if broken {
		err = errors.Join(os.Rename(tmp, tmp+"-full"), os.WriteFile(tmp, nil, 0o600))
	} else {
		err = errors.Join(os.Remove(tmp), os.Rename(tmp+"-full", tmp))
	}
	if err != nil {
		s.t.Error(err)
	}
}

// A final state that a full disk refuses is recorded when the disk has space again. Until then the
// release is not built again.
func TestVerdictOnAFullDisk(t *testing.T) {
	s := newStage(t)
	s.build = func(context.Context) error {
		s.breakDisk(true)
		return errors.New("no space left on device")
	}
	s.turn()
	s.run()
	n := s.publish()
	rig.Eventually(t, "the build has failed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err := os.Stat(filepath.Join(s.app.Volume().Root, "tmp-full"))
		return s.builds > 0 && err == nil
	})
	for range 20 { // each makes the app reconcile
		s.app.Ring()
		time.Sleep(5 * time.Millisecond)
	}
	s.breakDisk(false)
	s.reaches(n, volume.Failed)
	if s.builds != 1 {
		t.Errorf("built %d times", s.builds)
	}
}

// When a release in a crash loop is replaced, its planned restart does not happen.
func TestReplacedInACrashLoop(t *testing.T) {
	s := newStage(t)
	s.turn()
	s.run()
	one := s.publish()
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	for restarts := 1; restarts <= 3; restarts++ { // the next start is now 0.4 s away
		s.actor(one).Stop(0)
		rig.Eventually(t, "it has crashed", func() bool { p, _ := s.app.Processes(); return len(p) == 1 && p[0].Restarts == restarts })
		if restarts < 3 {
			rig.Eventually(t, "it runs again", func() bool { return !s.actor(one).Ended() })
			rig.Eventually(t, "and is said to", func() bool { p, _ := s.app.Processes(); return p[0].State == "running" })
		}
	}
	two := s.publish()
	s.app.Commit(two)
	s.reaches(two, volume.Live)
	s.mu.Lock()
	before := len(s.started)
	s.mu.Unlock()
	time.Sleep(600 * time.Millisecond) // until after the planned restart: no event shows that it did not happen
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.started[before:], one) {
		t.Errorf("started %v", s.started)
	}
}

func TestDestroyedAndMadeAgain(t *testing.T) {
	s := newStage(t)
	done := s.turn()
	s.run()
	one := s.publish()
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	first := s.actor(one)
	if err := s.app.Volume().Destroy(s.app); err != nil {
		t.Fatal(err)
	}
	done()
	if _, err := s.app.Volume().Create("blog"); err != nil {
		t.Fatal(err)
	}
	s.turn()
	again := s.publish()
	s.reaches(again, volume.Ready)
	s.app.Commit(again)
	s.reaches(again, volume.Live)
	rig.Eventually(t, "the first one's process is stopped", func() bool { return first.Ended() })
	if s.actor(again).Ended() {
		t.Error("so is the second one's")
	}
}

// An app whose identity cannot be read now (too many open files) is not taken for destroyed.
func TestUnreadableIdentity(t *testing.T) {
	s := newStage(t)
	s.turn()
	s.run()
	one := s.publish()
	s.app.Commit(one)
	s.reaches(one, volume.Live)
	id, aside, loop := filepath.Join(s.app.Dir(), "id"), filepath.Join(s.app.Dir(), "aside"), filepath.Join(s.app.Dir(), "loop")
	if err := errors.Join(os.Link(id, aside), os.Symlink("id", loop), os.Rename(loop, id)); err != nil { // id -> id: reading it fails
		t.Fatal(err)
	}
	two := s.publish()
	s.reaches(two, volume.Ready) // the app's goroutine has reconciled and goes on
	if err := os.Rename(aside, id); err != nil {
		t.Fatal(err)
	}
	if s.actor(one).Ended() {
		t.Error("the live process was stopped")
	}
}
