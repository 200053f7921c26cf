package runtime

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	stdruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/rig"
	"paas/volume"
)

// withSleepStage calls f with a stage where an app with a web process and a worker runs, and sleeps
// after ten minutes, on the fake clock of a synctest bubble.
func withSleepStage(t *testing.T, f func(*testing.T, *stage), prepare ...func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.app.Volume().Poll = time.Second
		s.processes = map[string]string{"web": "x", "worker": "y", "cron": "0 1 * * * z"}
		s.set(func(now *volume.Wanted) {
			now.Formation = map[string]int{"worker": 1}
			now.Sleep = 10 * time.Minute
		})
		for _, p := range prepare {
			p(s)
		}
		s.run()
		done := s.turn()
		s.deploy()
		done()
		s.runs(up)
		f(t, s)
	})
}

const up = "web.1 of v1, worker.1 of v1"

// after waits for d, and for what the runtime does then.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// isAsleep fails the test unless the app sleeps and runs no process.
func (s *stage) isAsleep(since time.Time) {
	s.t.Helper()
	z, err := s.app.Asleep()
	settings, settingsErr := s.app.Wanted()
	if err != nil || settingsErr != nil || !z.Holds(settings, s.app.Live()) || z.Since.Sub(since).Abs() > 2*time.Second { // a bell takes a second to be looked at
		s.t.Errorf("%+v, %v; want asleep since %v, %v", z, err, since, settingsErr)
	}
	if got := s.running(); got != "" {
		s.t.Errorf("runs: %s", got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Asleep {
		s.t.Errorf("its state for visitors: %s", s.state)
	}
	for _, a := range s.all {
		if !a.Ended() {
			s.t.Errorf("%s runs", a.Name)
		}
	}
}

// isUp fails the test unless these processes run and the app is recorded as awake.
func (s *stage) isUp(running string) {
	s.t.Helper()
	if got := s.running(); got != running {
		s.t.Errorf("runs: %s; want %s", got, running)
	}
	if z, err := s.app.Asleep(); z.Release > 0 || err != nil {
		s.t.Errorf("%+v, %v", z, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Running {
		s.t.Errorf("its state for visitors: %s", s.state)
	}
}

// visitorState returns the app's state for visitors.
func (s *stage) visitorState() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// timesAsleep returns how often the app was put to sleep.
func (s *stage) timesAsleep() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slept
}

// use records that a request has just ended.
func (s *stage) use() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
}

// An app without requests goes to sleep, with its workers. A request wakes it, and the time begins
// again.
func TestSleep(t *testing.T) {
	withSleepStage(t, func(t *testing.T, s *stage) {
		after(9*time.Minute + 50*time.Second)
		s.isUp(up)
		s.use()
		used := time.Now()
		after(9*time.Minute + 59*time.Second)
		s.isUp(up)
		after(time.Second)
		since := time.Now()
		s.isAsleep(used.Add(10 * time.Minute))
		started := len(s.names())
		after(30 * time.Minute)
		s.isAsleep(since)
		if n, times := len(s.names()), s.timesAsleep(); n != started || times != 1 {
			t.Errorf("put to sleep %d times, and %d processes were started meanwhile", times, n-started)
		}
		s.rt.Wake("blog")
		synctest.Wait()
		s.isUp(up)
		after(9*time.Minute + 59*time.Second)
		s.isUp(up)
		after(2 * time.Second)
		s.isAsleep(time.Now())
	})
}

// A deploy, a run or a command keeps an app awake until ten minutes after its end.
func TestKeptAwake(t *testing.T) {
	for name, what := range map[string]struct{ begin, end func(*stage) }{
		"request": {
			func(s *stage) { s.mu.Lock(); s.inFlight = true; s.mu.Unlock() },
			func(s *stage) { s.use(); s.mu.Lock(); s.inFlight = false; s.mu.Unlock() },
		},
		"cron": {
			func(s *stage) {
				s.set(func(now *volume.Wanted) { now.Cron = volume.CronRequest{Entry: 1, Token: "a"} })
			},
			func(s *stage) { s.newest("cron").Stop(0) },
		},
		"run": {
			func(s *stage) {
				if _, _, err := s.rt.Detach(Once{App: "blog", Argv: []string{"import"}}); err != nil {
					s.t.Error(err)
				}
			},
			func(s *stage) { s.newest("run").Stop(0) },
		},
		"deploy": {
			func(s *stage) {
				s.build = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
				s.turn()
				s.publish()
			},
			func(s *stage) { s.app.Cancel(2, "enough", volume.Remedy{}) },
		},
		"crash loop": {
			func(s *stage) {
				s.mu.Lock()
				s.fail = errors.New("no such program")
				s.mu.Unlock()
				s.newest("web").Stop(0)
			},
			func(s *stage) {
				s.mu.Lock()
				s.fail = nil
				s.mu.Unlock()
				for s.running() != up { // up to backoffMax
					time.Sleep(time.Second)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			withSleepStage(t, func(t *testing.T, s *stage) {
				what.begin(s)
				after(30 * time.Minute)
				if s.timesAsleep() > 0 {
					t.Error("it was put to sleep")
				}
				what.end(s)
				after(9*time.Minute + 50*time.Second)
				if name != "deploy" { // which leaves the release before
					s.isUp(up)
				}
				after(20 * time.Second)
				if times := s.timesAsleep(); times != 1 {
					t.Errorf("put to sleep %d times", times)
				}
			})
		})
	}
}

// newest returns the process of this type that was started last.
func (s *stage) newest(processType string) (newest *enginetest.Process) {
	s.t.Helper()
	time.Sleep(2 * time.Second) // until the bell is noticed
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		if strings.Contains(a.Name, " "+processType+".") {
			newest = a
		}
	}
	if newest == nil {
		s.t.Fatalf("no %s was started", processType)
	}
	return newest
}

// Some events wake an app, others do not.
func TestWakes(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*stage)
		want string
	}{
		"request":       {func(s *stage) { s.rt.Wake("blog") }, up},
		"many requests": {func(s *stage) { s.rt.Wake("blog"); s.rt.Wake("blog"); s.rt.Wake("blog") }, up},
		"cron":          {func(*stage) { time.Sleep(50 * time.Minute) }, up},
		"cron:run": {func(s *stage) {
			s.set(func(now *volume.Wanted) { now.Cron = volume.CronRequest{Entry: 1, Token: "a"} })
		}, up},
		"off":             {func(s *stage) { s.set(func(now *volume.Wanted) { now.Sleep = 0 }) }, up},
		"ps:start":        {func(s *stage) { s.set(func(now *volume.Wanted) { now.Wake = "a" }) }, up},
		"ps:scale":        {func(s *stage) { s.set(func(now *volume.Wanted) { now.Formation, now.Wake = nil, "a" }) }, "web.1 of v1"},
		"deploy":          {func(s *stage) { s.turn(); s.deploy() }, "web.1 of v2, worker.1 of v2"},
		"watch mode":      {func(s *stage) { s.inPlace() }, ""},
		"ps:stop":         {func(s *stage) { s.set(func(now *volume.Wanted) { now.Stopped = 1 }) }, ""},
		"another time":    {func(s *stage) { s.set(func(now *volume.Wanted) { now.Sleep = time.Hour }) }, "asleep"},
		"failed deploy":   {func(s *stage) { s.build = fails; s.turn(); s.reaches(s.publish(), volume.Failed) }, "asleep"},
		"run":             {func(s *stage) { s.ends = atOnce; s.rt.Detach(Once{App: "blog", Argv: []string{"true"}}) }, "asleep"},
		"nothing of this": {func(*stage) {}, "asleep"},
	} {
		t.Run(name, func(t *testing.T) {
			withSleepStage(t, func(t *testing.T, s *stage) {
				after(10*time.Minute + time.Second)
				since := time.Now()
				s.isAsleep(since)
				before, told := len(s.names()), s.conditions()
				test.do(s)
				after(3 * time.Second) // until the bell is noticed, and a worker has started too
				webs := 0
				for _, name := range s.names()[before:] {
					if strings.Contains(name, " web.1 ") {
						webs++
					}
				}
				switch test.want {
				case "asleep":
					s.isAsleep(since)
				case "":
					if got := s.running(); got != "" || s.visitorState() != Down || webs > 0 {
						t.Errorf("runs: %s; its state for visitors: %s; started %q", got, s.visitorState(), s.names()[before:])
					}
				default:
					s.isUp(test.want)
					if all := s.conditions()[len(told):]; slices.Contains(all, Asleep) {
						t.Errorf("its visitors were told: %q", all)
					}
					if webs != 1 {
						t.Errorf("started %q", s.names()[before:])
					}
				}
			})
		})
	}
}

// conditions lists the states that the front was told, in order.
func (s *stage) conditions() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// inPlace makes a release in mode worktree the live one.
func (s *stage) inPlace() {
	n, err := s.app.Publish(volume.Release{Settings: volume.Settings{Mode: volume.OnlyFiles}})
	if err == nil {
		err = s.app.SetLive(n.N)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.app.Ring()
}

func fails(context.Context) error { return engine.Exit{Code: 1} }

func atOnce(p *enginetest.Process) (engine.Exit, bool) { return engine.Exit{}, p.Type == "run" }

// An app that is woken while its processes are stopping starts a web process at once. Its new
// worker waits until the old one has ended.
func TestWokenWhileItEnds(t *testing.T) {
	var linger chan struct{}
	withSleepStage(t, func(t *testing.T, s *stage) {
		end := sync.OnceFunc(func() { close(linger) })
		defer end()
		after(10*time.Minute + time.Second)
		if got := s.running(); got != "worker.1 is stopping" || s.visitorState() != Asleep {
			t.Errorf("runs: %s; its state for visitors: %s", got, s.visitorState())
		}
		s.rt.Wake("blog")
		after(time.Minute)
		if got := s.running(); got != "web.1 of v1, worker.1 is stopping" || s.visitorState() != Running {
			t.Errorf("runs: %s; its state for visitors: %s", got, s.visitorState())
		}
		end()
		synctest.Wait()
		s.isUp(up)
	}, func(s *stage) {
		linger = make(chan struct{})
		s.linger = linger
	})
}

// If a web process is still stopping when the app is woken, another one starts beside it. Both end
// when they should.
func TestWokenWhileWebEnds(t *testing.T) {
	var linger chan struct{}
	withSleepStage(t, func(t *testing.T, s *stage) {
		after(10*time.Minute + time.Second)
		if got := s.running(); got != "web.1 is stopping" {
			t.Errorf("runs: %s", got)
		}
		s.rt.Wake("blog")
		after(time.Minute)
		if got := s.running(); got != "web.1 of v1, web.1 is stopping, worker.1 of v1" && got != "web.1 is stopping, web.1 of v1, worker.1 of v1" {
			t.Errorf("runs: %s", got)
		}
		close(linger)
		synctest.Wait()
		s.isUp(up)
		after(9*time.Minute + time.Second)
		s.isAsleep(time.Now())
	}, func(s *stage) {
		linger = make(chan struct{})
		s.slowWeb, s.linger = true, linger
		s.ends = func(p *enginetest.Process) (engine.Exit, bool) {
			if p.Type == "worker" {
				p.Linger = nil
			}
			return engine.Exit{}, false
		}
	})
}

// An app that sleeps when the server stops or is killed sleeps when the server is back, unless its
// settings have changed by then. A request wakes it even before the runtime has read the volume.
func TestAsleepAcrossRestart(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(*stage)
		asleep    bool
	}{
		"nothing":         {func(*stage) {}, true},
		"off":             {func(s *stage) { s.set(func(now *volume.Wanted) { now.Sleep = 0 }) }, false},
		"ps:start":        {func(s *stage) { s.set(func(now *volume.Wanted) { now.Wake = "a" }) }, false},
		"another is live": {func(s *stage) { s.app.SetLive(s.again()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.app.Volume().Poll = time.Second
				s.set(func(now *volume.Wanted) { now.Sleep = time.Minute })
				stop := s.run()
				done := s.turn()
				s.deploy()
				done()
				after(61 * time.Second)
				since := time.Now()
				s.isAsleep(since)
				stop()
				test.meanwhile(s)
				before := len(s.names())

				rt := s.runtime()
				if err := rt.Announce(); err != nil {
					t.Error(err)
				}
				if (s.visitorState() == Asleep) != test.asleep {
					t.Errorf("announced as %s", s.visitorState())
				}
				stop = s.run()
				after(10 * time.Second)
				if !test.asleep {
					if started := s.names()[before:]; len(started) != 1 {
						t.Errorf("started %q", started)
					}
					return
				}
				s.isAsleep(since)
				if started := s.names()[before:]; len(started) > 0 {
					t.Errorf("started %q", started)
				}
				stop()
				s.early = true
				s.run()
				synctest.Wait()
				s.isUp("web.1 of v1")
			})
		})
	}
}

// again publishes the live release once more.
func (s *stage) again() int {
	r, err := s.app.Release(s.app.Live())
	if err == nil {
		r, err = s.app.Publish(r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r.N
}

// An app stays awake if its sleep cannot be recorded, on a full disk for example, and is put to
// sleep later.
func TestSleepNotSaid(t *testing.T) {
	withSleepStage(t, func(t *testing.T, s *stage) {
		s.breakDisk(true)
		after(10*time.Minute + time.Second)
		if s.timesAsleep() != 1 || s.visitorState() != Running || s.running() != up {
			t.Errorf("asked %d times; its state for visitors: %s; runs: %s", s.timesAsleep(), s.visitorState(), s.running())
		}
		s.breakDisk(false)
		after(10*time.Minute + time.Minute)
		if s.timesAsleep() != 2 || s.visitorState() != Asleep || s.running() != "" {
			t.Errorf("asked %d times; its state for visitors: %s; runs: %s", s.timesAsleep(), s.visitorState(), s.running())
		}
	})
}

// Requests that come as the app goes to sleep are all answered, and no two workers run at once.
func TestSleepingAndWaking(t *testing.T) {
	withSleepStage(t, func(t *testing.T, s *stage) {
		s.set(func(now *volume.Wanted) { now.Sleep = time.Second })
		after(2 * time.Second)
		var visitors sync.WaitGroup
		for range 5 {
			visitors.Go(func() {
				for range 15 {
					time.Sleep(rand.N(20 * time.Second))
					s.visit()
				}
			})
		}
		visitors.Wait()
		if times := s.timesAsleep(); times < 5 {
			t.Errorf("it slept %d times", times)
		}
	})
}

// visit makes a request, as the front does.
func (s *stage) visit() {
	for {
		s.mu.Lock()
		condition := s.state
		if condition == Running {
			alive, workers := 0, 0
			for _, a := range s.all {
				switch {
				case a.Ended():
				case strings.Contains(a.Name, "web.1"):
					alive++
				case strings.Contains(a.Name, "worker.1"):
					workers++
				}
			}
			if alive == 0 || workers > 1 {
				s.t.Errorf("%d web processes and %d workers", alive, workers)
			}
			s.used = time.Now()
			s.mu.Unlock()
			return
		}
		if condition == Asleep {
			s.state = Starting
		}
		s.mu.Unlock()
		if condition == Asleep {
			s.rt.Wake("blog")
		}
		time.Sleep(time.Millisecond)
	}
}

// A sleeping app costs one goroutine, which waits for a poke, and less than 32 KiB.
func TestAsleepIsCheap(t *testing.T) {
	const apps = 100
	s := newStage(t)
	s.set(func(now *volume.Wanted) { now.Sleep = time.Millisecond })
	stop := s.run()
	done := s.turn()
	s.deploy()
	done()
	rig.Eventually(t, "it sleeps", func() bool { z, _ := s.app.Asleep(); return z.Release == 1 && s.running() == "" })
	stop()
	for i := range apps {
		if err := os.CopyFS(fmt.Sprint(s.app.Dir(), i), os.DirFS(s.app.Dir())); err != nil {
			t.Fatal(err)
		}
	}
	started := len(s.names())
	cost := func() (heap int64, goroutines int) {
		stdruntime.GC()
		stdruntime.GC()
		var m stdruntime.MemStats
		stdruntime.ReadMemStats(&m)
		return int64(m.HeapAlloc), stdruntime.NumGoroutine()
	}
	heap, goroutines := cost()
	s.mu.Lock()
	s.told, s.routes = nil, nil
	s.mu.Unlock()
	s.run()
	rig.Eventually(t, "all are known", func() bool { return len(s.conditions()) > apps })
	rig.Eventually(t, "one goroutine an app", func() bool { return stdruntime.NumGoroutine()-goroutines <= apps+10 })
	if after, _ := cost(); (after-heap)/apps > 32<<10 {
		t.Errorf("%d bytes an app", (after-heap)/apps)
	}
	if n := len(s.names()); n != started || slices.ContainsFunc(s.conditions(), func(c State) bool { return c != Asleep }) {
		t.Errorf("%d were started, and visitors told %q", n-started, s.conditions())
	}
}
