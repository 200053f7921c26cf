package runtime

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
	"paas/volume"
)

// running returns how many detached jobs the engine has, and how many of them run.
func (d *oneOffStage) jobsLeft() (all, running int) {
	d.t.Helper()
	list, err := d.engine.Runs(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range list {
		if r.Ended.IsZero() {
			running++
		}
	}
	return len(list), running
}

// detach has a server detach a command. The server is gone then.
func (d *oneOffStage) detach(argv ...string) {
	d.t.Helper()
	rt := d.runtime()
	rt.adopt(d.t.Context())
	if _, _, err := rt.Detach(Once{App: "blog", Argv: argv, By: "alice"}); err != nil {
		d.t.Fatal(err)
	}
	rt.oneoffs.letGo()
	<-rt.oneoffs.none()
}

func (d *oneOffStage) output(n int) string {
	content, _ := os.ReadFile(outputFile(d.app, n))
	return string(content)
}

// The next server lists detached commands that go on, and notes the end of those that have ended.
func TestAdoptDetached(t *testing.T) {
	d := newOneOffStage(t)
	d.detach("sleep")
	d.detach("sleep")
	d.engine.Processes()[1].End(engine.Exit{Code: 3})
	rig.Eventually(t, "one has ended", func() bool { _, running := d.jobsLeft(); return running == 1 })
	if text := d.output(2); text != "" {
		t.Errorf("noted %q", text)
	}
	release, _ := d.app.Release(1)
	d.rt.adopt(t.Context())
	rig.Eventually(t, "its end is noted", func() bool { return strings.HasSuffix(d.output(2), "--- exited with status 3\n") })
	rig.Eventually(t, "one is listed", func() bool { return len(d.rt.oneOffsOf("blog")) == 1 })
	list := d.rt.oneOffsOf("blog")
	if list[0].Index != 1 || list[0].Release != 1 || list[0].PID != d.engine.Processes()[0].PID() {
		t.Errorf("%+v", list)
	}
	if !d.rt.held("blog", release.Build) {
		t.Error("its build is not held")
	}
	if name, _, err := d.rt.Detach(Once{App: "blog", Argv: []string{"echo", "x"}}); err != nil || name != "run.3" {
		t.Error(name, err)
	}
	d.engine.Processes()[0].End(engine.Exit{Signal: int(syscall.SIGKILL)})
	rig.Eventually(t, "the signal is noted", func() bool { return strings.Contains(d.output(1), "--- ended by signal 9") })
	rig.Eventually(t, "the engine has forgotten them", func() bool { all, _ := d.jobsLeft(); return all == 0 })
	rig.Eventually(t, "its build is let go", func() bool { return !d.rt.held("blog", release.Build) })
}

// While another server takes over, the end of a detached command is recorded once: by the other
// server, or by this one if the other has failed.
func TestDetachedEndsDuringHandover(t *testing.T) {
	for _, fails := range []bool{false, true} {
		d := newOneOffStage(t)
		if _, _, err := d.rt.Detach(Once{App: "blog", Argv: []string{"sleep"}, By: "alice"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d.rt.Free(ctx)
		p := d.engine.Processes()[0]
		p.End(engine.Exit{Code: 3})
		if fails {
			d.rt.Resume()
		} else {
			d.runtime().adopt(t.Context())
		}
		rig.Eventually(t, "it is recorded", func() bool { all, _ := d.jobsLeft(); return all == 0 })
		d.rt.oneoffs.letGo()
		<-d.rt.oneoffs.none()
		if got := strings.Count(d.output(1), "exited with status 3"); got != 1 {
			t.Errorf("recorded %d times, if the other fails: %v", got, fails)
		}
	}
}

// A detached command of an app that was destroyed while there was no server is stopped, also if
// another app has its name.
func TestAdoptOfDestroyedApp(t *testing.T) {
	for what, destroy := range map[string]func(*oneOffStage) error{
		"gone": func(d *oneOffStage) error { return d.app.Volume().Destroy(d.app) },
		"another has its name": func(d *oneOffStage) error {
			err := d.app.Volume().Destroy(d.app)
			if err == nil {
				_, err = d.app.Volume().Create("blog")
			}
			return err
		},
	} {
		d := newOneOffStage(t)
		d.detach("sleep")
		if err := destroy(d); err != nil {
			t.Fatal(err)
		}
		d.rt.adopt(t.Context())
		rig.Eventually(t, what+": it is stopped and forgotten", func() bool { all, _ := d.jobsLeft(); return all == 0 })
		if !d.engine.Processes()[0].Ended() {
			t.Errorf("%s: it goes on", what)
		}
	}
}

// A server that stops for good stops the commands that it has adopted.
func TestAdoptedIsStopped(t *testing.T) {
	d := newOneOffStage(t)
	d.detach("sleep")
	d.rt.adopt(t.Context())
	<-d.rt.oneoffs.close()
	if !d.engine.Processes()[0].Ended() || !strings.HasSuffix(d.output(1), "--- the server is stopping\n") {
		t.Errorf("%q", d.output(1))
	}
}

// goesOn makes the engine run what a server before has started for entry 1, as cron.json has it.
func (w *cronStage) goesOn(at time.Time) {
	w.t.Helper()
	id, err := w.app.Identity()
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := w.app.Cron()
	if err != nil {
		w.t.Fatal(err)
	}
	e := &state.Entries[0]
	e.Last = &volume.CronRun{Entry: 1, Release: 1, At: at}
	if err := w.app.SetCron(state); err != nil {
		w.t.Fatal(err)
	}
	release, err := w.app.Release(1)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.engine.Start(w.t.Context(), engine.Job{
		App: "blog", Release: 1, Type: "cron", Index: 1, Argv: []string{"a"}, Image: engine.Image{App: "blog", Build: release.Build},
		Detached: detached(e.Log, note{App: id, Cron: &cronNote{
			Entry: 1, Schedule: e.Schedule, Command: e.Command, Log: e.Log, At: at,
		}}),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// forgotten checks that the engine has no detached jobs any more.
func (w *cronStage) forgotten() {
	w.t.Helper()
	if list, err := w.engine.Runs(w.t.Context()); err != nil || len(list) > 0 {
		w.t.Errorf("%+v, %v", list, err)
	}
}

// The next server takes up a cron run: it is under way, so that the next one is skipped, and its
// result is recorded.
func TestAdoptCronRun(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *cronStage) {
		w.until("00:05:00")
		w.stop()
		began := w.wall().UTC()
		w.goesOn(began)
		w.start()
		if last := w.entry(1).Last; last.Result != "" || !last.At.Equal(began) {
			t.Errorf("%+v", last)
		}
		w.until("00:10:00")
		if e := w.entry(1); e.Skipped.IsZero() || len(w.entryRuns()) != 1 {
			t.Errorf("%+v", e)
		}
		w.until("00:12:00")
		w.last(engine.Exit{Code: 3})
		last := w.entry(1).Last
		if last.Result != "exit status 3" || last.Took.Round(time.Minute) != 7*time.Minute || !last.At.Equal(began) {
			t.Errorf("%+v", last)
		}
		w.forgotten()
		w.until("00:20:00")
		w.wantBegan("a 00:05, a 00:20")
	})
}

// A cron run that has ended while there was no server has its result, and took as long as it did.
func TestAdoptEndedCronRun(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *cronStage) {
		w.until("00:05:00")
		w.stop()
		w.goesOn(w.wall().UTC())
		w.until("00:06:00")
		w.last(engine.Exit{})
		w.until("00:08:00")
		w.start()
		if last := w.entry(1).Last; last.Result != "ok" || last.Took.Round(time.Minute) != time.Minute {
			t.Errorf("%+v", last)
		}
		w.forgotten()
		w.until("00:10:00")
		w.wantBegan("a 00:05, a 00:10")
	})
}

// A run of an entry that the live release does not have goes on, as after a deploy.
func TestAdoptRunOfFormerEntry(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *cronStage) {
		w.until("00:05:00")
		w.stop()
		w.goesOn(w.wall().UTC())
		state, err := w.app.Cron()
		if err != nil {
			t.Fatal(err)
		}
		state.Entries = nil
		if err := w.app.SetCron(state); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.last(engine.Exit{Code: 1})
		w.forgotten()
	})
}
