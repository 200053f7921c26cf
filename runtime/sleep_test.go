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

// drowsy plays f on a stage where the app is up, with a web process and a worker, and sleeps after
// ten minutes; on a clock that goes when nothing else does.
func drowsy(t *testing.T, f func(*testing.T, *stage), prepare ...func(*stage)) {
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

// after waits for so long, and for what happens then.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// isAsleep fails the test unless the app sleeps, which has it run nothing.
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
		s.t.Errorf("its visitors meet: %s", s.state)
	}
	for _, a := range s.all {
		if !a.Ended() {
			s.t.Errorf("%s runs", a.Name)
		}
	}
}

// isUp fails the test unless all processes of release n run, and the app is not said to sleep.
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
		s.t.Errorf("its visitors meet: %s", s.state)
	}
}

// meets is what visitors meet now.
func (s *stage) meets() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// naps is how often the app was put to sleep.
func (s *stage) naps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slept
}

// use says that a request has just ended.
func (s *stage) use() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
}

// An app that nobody asks for sleeps, workers too; a request wakes it, and the time begins anew.
func TestSleep(t *testing.T) {
	drowsy(t, func(t *testing.T, s *stage) {
		after(9*time.Minute + 50*time.Second)
		s.isUp(up)
		s.use()
		used := time.Now()
		after(9*time.Minute + 59*time.Second)
		s.isUp(up)
		after(time.Second)
		fell := time.Now()
		s.isAsleep(used.Add(10 * time.Minute))
		started := len(s.names())
		after(30 * time.Minute)
		s.isAsleep(fell)
		if n, naps := len(s.names()), s.naps(); n != started || naps != 1 {
			t.Errorf("put to sleep %d times, and %d processes were started meanwhile", naps, n-started)
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

// What goes on keeps an app awake, for ten minutes from its end on.
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
			func(s *stage) { s.app.Cancel(2, "enough") },
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
			drowsy(t, func(t *testing.T, s *stage) {
				what.begin(s)
				after(30 * time.Minute)
				if s.naps() > 0 {
					t.Error("it was put to sleep")
				}
				what.end(s)
				after(9*time.Minute + 50*time.Second)
				if name != "deploy" { // which leaves the one before
					s.isUp(up)
				}
				after(20 * time.Second)
				if naps := s.naps(); naps != 1 {
					t.Errorf("put to sleep %d times", naps)
				}
			})
		})
	}
}

// newest is the last process of that type to be started.
func (s *stage) newest(processType string) (newest *enginetest.Process) {
	s.t.Helper()
	time.Sleep(2 * time.Second) // until the bell is looked at
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

// What wakes an app, and what does not.
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
			drowsy(t, func(t *testing.T, s *stage) {
				after(10*time.Minute + time.Second)
				fell := time.Now()
				s.isAsleep(fell)
				before, told := len(s.names()), s.conditions()
				test.do(s)
				after(3 * time.Second) // until the bell is looked at, and a worker has followed
				webs := 0
				for _, name := range s.names()[before:] {
					if strings.Contains(name, " web.1 ") {
						webs++
					}
				}
				switch test.want {
				case "asleep":
					s.isAsleep(fell)
				case "":
					if got := s.running(); got != "" || s.meets() != Down || webs > 0 {
						t.Errorf("runs: %s; its visitors meet: %s; started %q", got, s.meets(), s.names()[before:])
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

// conditions are what the front was told, in order.
func (s *stage) conditions() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// inPlace makes a release of watch mode the live one.
func (s *stage) inPlace() {
	n, err := s.app.Publish(volume.Release{Settings: volume.Settings{Mode: volume.InPlace}})
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

// An app that is woken while its processes still end has a web process at once; a worker waits for
// the one before.
func TestWokenWhileItEnds(t *testing.T) {
	var linger chan struct{}
	drowsy(t, func(t *testing.T, s *stage) {
		end := sync.OnceFunc(func() { close(linger) })
		defer end()
		after(10*time.Minute + time.Second)
		if got := s.running(); got != "worker.1 is stopping" || s.meets() != Asleep {
			t.Errorf("runs: %s; its visitors meet: %s", got, s.meets())
		}
		s.rt.Wake("blog")
		after(time.Minute)
		if got := s.running(); got != "web.1 of v1, worker.1 is stopping" || s.meets() != Running {
			t.Errorf("runs: %s; its visitors meet: %s", got, s.meets())
		}
		end()
		synctest.Wait()
		s.isUp(up)
	}, func(s *stage) {
		linger = make(chan struct{})
		s.linger = linger
	})
}

// A web process that still ends when the app is woken has another one beside it, and both end in
// their time.
func TestWokenWhileWebEnds(t *testing.T) {
	var linger chan struct{}
	drowsy(t, func(t *testing.T, s *stage) {
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

// What sleeps when the server stops, or is killed, does so when it is back, and is woken even
// before it looks; unless something else is wanted by then.
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
				fell := time.Now()
				s.isAsleep(fell)
				stop()
				test.meanwhile(s)
				before := len(s.names())

				rt := s.runtime()
				if err := rt.Announce(); err != nil {
					t.Error(err)
				}
				if (s.meets() == Asleep) != test.asleep {
					t.Errorf("announced as %s", s.meets())
				}
				stop = s.run()
				after(10 * time.Second)
				if !test.asleep {
					if started := s.names()[before:]; len(started) != 1 {
						t.Errorf("started %q", started)
					}
					return
				}
				s.isAsleep(fell)
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

// An app that is not put down as asleep stays awake, and is asked again: a full disk, say.
func TestSleepNotSaid(t *testing.T) {
	drowsy(t, func(t *testing.T, s *stage) {
		s.breakDisk(true)
		after(10*time.Minute + time.Second)
		if s.naps() != 1 || s.meets() != Running || s.running() != up {
			t.Errorf("asked %d times; its visitors meet: %s; runs: %s", s.naps(), s.meets(), s.running())
		}
		s.breakDisk(false)
		after(10*time.Minute + time.Minute)
		if s.naps() != 2 || s.meets() != Asleep || s.running() != "" {
			t.Errorf("asked %d times; its visitors meet: %s; runs: %s", s.naps(), s.meets(), s.running())
		}
	})
}

// Visitors who come as the app falls asleep are all answered, and no two workers run at once.
func TestSleepingAndWaking(t *testing.T) {
	drowsy(t, func(t *testing.T, s *stage) {
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
		if naps := s.naps(); naps < 5 {
			t.Errorf("it slept %d times", naps)
		}
	})
}

// visit does what the front does of a request.
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

// An app asleep costs one goroutine, which waits to be told something, and less than 32 KiB.
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
