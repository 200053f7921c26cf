package runtime

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/volume"
)

// cronStage is a runtime of one app, on the fake clock of a synctest bubble. Its processes end when
// the test ends them. The clock begins on a Saturday, 2000-01-01 00:00:00 UTC.
type cronStage struct {
	*stage
	rt        *Runtime
	stop      func()
	processes map[string]string // of later builds
	file      string            // app.json of later builds
	slow      time.Duration     // how long later runs ignore SIGTERM

	mu   sync.Mutex
	set  time.Duration // how far the wall clock was set forward
	runs []*entryRun
}

// entryRun is one run of an entry.
type entryRun struct {
	*enginetest.Process
	at   time.Time // by the wall clock
	real time.Time // by the monotonic clock
}

func (s *entryRun) line() string { return strings.Join(s.Argv, " ") }

func (w *cronStage) makes(context.Context, engine.BuildJob) (volume.Built, error) {
	return volume.Built{Processes: w.processes}, nil
}

func (w *cronStage) begins(p *enginetest.Process) error {
	if p.Type != "cron" {
		return nil
	}
	if p.Argv[0] == "missing" {
		return engine.StartError{Status: 127, Reason: "cron: missing: not found in PATH"}
	}
	s := &entryRun{Process: p, at: w.wall(), real: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slow > 0 {
		linger := make(chan struct{})
		time.AfterFunc(w.slow, func() { close(linger) })
		p.Linger = linger
	}
	w.runs = append(w.runs, s)
	return nil
}

// lingers makes later runs ignore SIGTERM for d.
func (w *cronStage) lingers(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow = d
}

func (w *cronStage) wall() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.set)
}

func (w *cronStage) put(forward time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set += forward
}

// withCronStage calls f with a cronStage whose app has a web process and these entries.
func withCronStage(t *testing.T, entries map[string]string, f func(*testing.T, *cronStage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &volume.Volume{Root: t.TempDir(), Poll: time.Second}
		if err := v.Open(); err != nil {
			t.Fatal(err)
		}
		app, err := v.Create("blog")
		if err != nil {
			t.Fatal(err)
		}
		w := &cronStage{stage: &stage{t: t, app: app, actors: map[int]*enginetest.Process{}}}
		w.engine = &enginetest.Memory{Begin: w.begins, Make: w.makes}
		w.start()
		defer func() { w.stop() }()
		w.deploy(entries, nil)
		f(t, w)
	})
}

// start starts the server.
func (w *cronStage) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.rt = &Runtime{Volume: w.app.Volume(), Engine: w.engine, Front: w, Log: slog.New(slog.DiscardHandler), now: w.wall}
	ended := make(chan struct{})
	go func() { w.rt.Run(ctx); close(ended) }()
	w.stop = func() { cancel(); <-ended }
	synctest.Wait()
}

// deploy makes a release with these entries live.
func (w *cronStage) deploy(entries, config map[string]string) int {
	w.t.Helper()
	done := w.turn()
	defer done()
	w.processes = map[string]string{"web": "x"}
	maps.Copy(w.processes, entries)
	n := w.publishWith(config)
	w.app.Commit(n)
	w.reaches(n, volume.Live)
	synctest.Wait()
	return n
}

func (w *cronStage) publishWith(config map[string]string) int {
	w.t.Helper()
	dir, err := w.app.Volume().TempDir()
	if err == nil {
		err = os.Mkdir(dir+"/tree", 0o755)
	}
	if err == nil && w.file != "" {
		err = os.WriteFile(dir+"/tree/app.json", []byte(w.file), 0o644)
	}
	b, r := volume.Build{}, volume.Release{}
	if err == nil {
		b, err = w.app.PublishBuild(volume.Build{Commit: "0123456789abcdef"}, dir)
	}
	if err == nil {
		r, err = w.app.Publish(volume.Release{Build: b.ID, Settings: volume.Settings{Config: config}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return r.N
}

// until waits for a time of 2000-01-01, by the monotonic clock, and for what the runtime does then.
func (w *cronStage) until(clock string) {
	w.t.Helper()
	at, err := time.Parse(time.DateTime, "2000-01-01 "+clock)
	if err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(time.Until(at) + time.Millisecond)
	synctest.Wait()
}

// began lists the runs so far, each with its command and time. Runs of the same minute are sorted
// by command.
func (w *cronStage) began() string {
	var all []string
	for _, s := range slices.SortedStableFunc(slices.Values(w.entryRuns()), func(a, b *entryRun) int {
		return cmp.Or(a.real.Truncate(time.Minute).Compare(b.real.Truncate(time.Minute)), cmp.Compare(a.line(), b.line()))
	}) {
		all = append(all, s.line()+" "+s.at.UTC().Format("15:04"))
	}
	return strings.Join(all, ", ")
}

func (w *cronStage) wantBegan(want string) {
	w.t.Helper()
	if got := w.began(); got != want {
		w.t.Errorf("ran: %s; want: %s", got, want)
	}
}

// entryRuns lists the runs so far.
func (w *cronStage) entryRuns() []*entryRun {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.runs)
}

// last ends the last run.
func (w *cronStage) last(exit engine.Exit) {
	all := w.entryRuns()
	all[len(all)-1].End(exit)
	synctest.Wait()
}

func (w *cronStage) entry(id int) volume.CronEntry {
	w.t.Helper()
	state, err := w.app.Cron()
	if err != nil || len(state.Entries) < id {
		w.t.Fatalf("%+v, %v", state, err)
	}
	return state.Entries[id-1]
}

// result returns how the last run of entry 1 ended.
func (w *cronStage) result() string {
	w.t.Helper()
	if last := w.entry(1).Last; last != nil {
		return last.Result
	}
	return "none"
}

func (w *cronStage) change(f func(*volume.Wanted)) {
	w.t.Helper()
	s, err := w.app.Wanted()
	if err == nil {
		f(&s)
		err = w.app.SetWanted(s)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.poke()
}

// poke makes the app reconcile, as a bell does.
func (w *cronStage) poke() {
	w.app.Ring()
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

func TestCronTicks(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a b", "cron-x": "@hourly y"}, func(t *testing.T, w *cronStage) {
		if next := w.entry(1).Next; next.Format("15:04:05") != "00:10:00" {
			t.Error(next)
		}
		w.until("00:09:59")
		w.wantBegan("")
		w.until("00:10:00")
		w.wantBegan("a b 00:10")
		p := w.entryRuns()[0]
		if p.App != "blog" || p.Type != "cron" || p.Index != 1 || p.Release != 1 || p.Image.App != "blog" || p.Image.Build == "" || p.Env["DATA_DIR"] != engine.Data {
			t.Errorf("%+v", p.Job)
		}
		if w.result() != "" {
			t.Error(w.result())
		}
		w.until("00:12:00")
		w.last(engine.Exit{Code: 3})
		e := w.entry(1)
		if e.Last.Result != "exit status 3" || e.Last.Took.Round(time.Second) != 2*time.Minute || e.Last.Status == 0 || e.Tick.Format("15:04") != "00:10" || e.Next.Format("15:04") != "00:20" {
			t.Errorf("%+v %+v", e, e.Last)
		}
		log, err := os.ReadFile(filepath.Join(w.app.Logs(), "cron.1.log"))
		if err != nil || !strings.HasSuffix(string(log), "Z\t--- exit status 3, after 2m0.001s\n") {
			t.Errorf("%q, %v", log, err)
		}
		w.until("00:20:00")
		w.last(engine.Exit{})
		if w.result() != "ok" {
			t.Error(w.result())
		}
		w.until("01:00:00")
		w.wantBegan("a b 00:10, a b 00:20, a b 00:30, y 01:00") // from 00:40 on the third run blocks the next
		if s := w.entry(1).Skipped; s.Format("15:04") != "01:00" || w.result() != "" {
			t.Error(s, w.result())
		}
	})
}

func TestCronNotStarted(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "* * * * * missing"}, func(t *testing.T, w *cronStage) {
		w.until("00:01:00")
		if w.result() != "cron: missing: not found in PATH" {
			t.Error(w.result())
		}
	})
}

// With the policy allow, runs overlap; with replace, the old run ends before the new one begins.
func TestCronOverlap(t *testing.T) {
	withCronStage(t, nil, func(t *testing.T, w *cronStage) {
		w.file = `{"cron": [{"schedule": "* * * * *", "command": "a", "concurrency_policy": "allow"}]}`
		w.deploy(nil, nil)
		w.until("00:22:00")
		if len(w.entryRuns()) != 20 {
			t.Errorf("%d runs side by side", len(w.entryRuns()))
		}
		for _, s := range w.entryRuns() {
			s.End(engine.Exit{})
		}
		w.file = `{"cron": [{"schedule": "* * * * *", "command": "a", "concurrency_policy": "replace"}]}`
		w.deploy(nil, nil)
		w.lingers(150 * time.Second) // to finish its work
		w.until("00:23:00")
		w.lingers(0)
		w.until("00:25:29")
		if len(w.entryRuns()) != 21 {
			t.Error(w.began())
		}
		w.until("00:25:30")
		if !strings.HasSuffix(w.began(), "a 00:23, a 00:25") || !w.entryRuns()[20].Ended() {
			t.Error(w.began())
		}
	})
}

// A deploy replaces the entries. A run of the old release goes on and blocks its entry's next run.
// An entry that both releases have keeps its results.
func TestCronAcrossReleases(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a", "cron2": "*/10 * * * * b"}, func(t *testing.T, w *cronStage) {
		w.until("00:10:00")
		w.deploy(map[string]string{"cron": "*/10 * * * * c", "cron2": "*/10 * * * * a"}, nil)
		if w.entryRuns()[0].Ended() {
			t.Error("the first run was stopped by the deploy")
		}
		if w.entryRuns()[1].Ended() {
			t.Error("the second run was stopped by the deploy")
		}
		if e := w.entry(2); e.Command != "a" || e.Last == nil || e.Last.Release != 1 || e.Next.Format("15:04") != "00:20" {
			t.Errorf("%+v", e)
		}
		w.until("00:20:00")
		w.wantBegan("a 00:10, b 00:10, c 00:20")
		w.entryRuns()[0].End(engine.Exit{})
		w.entryRuns()[1].End(engine.Exit{})
		w.until("00:30:00")
		w.wantBegan("a 00:10, b 00:10, c 00:20, a 00:30")
		w.deploy(nil, nil)
		w.until("00:50:00")
		w.wantBegan("a 00:10, b 00:10, c 00:20, a 00:30")
		if state, err := w.app.Cron(); err != nil || len(state.Entries) != 0 || state.Release != 0 && state.Release != 3 {
			t.Error(state, err)
		}
	})
}

func TestCronOfAStoppedApp(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *cronStage) {
		w.until("00:10:00")
		w.change(func(s *volume.Wanted) { s.Stopped = 1 })
		if w.result() != "killed: the app is stopped" || !w.entry(1).Next.IsZero() {
			t.Error(w.result())
		}
		w.change(func(s *volume.Wanted) { s.Cron = volume.CronRequest{Entry: 1, Token: "t"} })
		w.until("00:30:00")
		if state, _ := w.app.Cron(); len(state.Asked) != 1 || state.Asked[0].Result != "skipped: the app is stopped" {
			t.Errorf("%+v", state.Asked)
		}
		w.change(func(s *volume.Wanted) { s.Stopped = 0 })
		if w.entry(1).Next.Format("15:04") != "00:40" {
			t.Error(w.entry(1))
		}
		w.until("00:40:00")
		w.wantBegan("a 00:10, a 00:40")
	})
}

// cron:run runs an entry at once, once for each request. It reports if an earlier run blocks it.
func TestCronAsked(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "@yearly a"}, func(t *testing.T, w *cronStage) {
		answer := func(token string) string {
			state, _ := w.app.Cron()
			at := slices.IndexFunc(state.Asked, func(r volume.CronRun) bool { return r.Token == token })
			if at < 0 {
				return "none"
			}
			return state.Asked[at].Result
		}
		request := func(entry int, token string) {
			w.change(func(s *volume.Wanted) { s.Cron = volume.CronRequest{Entry: entry, Token: token} })
		}
		request(1, "one")
		if len(w.entryRuns()) != 1 || answer("one") != "" {
			t.Error(w.began(), answer("one"))
		}
		request(1, "two")
		if want := "skipped: the run of 2000-01-01T00:0"; !strings.HasPrefix(answer("two"), want) {
			t.Error(answer("two"))
		}
		w.last(engine.Exit{})
		if answer("one") != "ok" || w.result() != "ok" || !w.entry(1).Tick.IsZero() {
			t.Error(answer("one"), w.result())
		}
		request(2, "three")
		if answer("three") != "skipped: its entry is gone" {
			t.Error(answer("three"))
		}
		for i := range 30 {
			request(1, "more"+strings.Repeat("x", i))
		}
		if state, _ := w.app.Cron(); len(state.Asked) != keptAsked {
			t.Error(len(state.Asked))
		}
	})
}

// If the clock is set forward, each due entry runs once, no matter how many ticks were skipped. If
// it is set back, nothing runs twice, unless the clock was more than three hours wrong.
func TestCronClockJumps(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *cronStage) {
		w.until("00:05:00")
		w.put(5 * time.Hour)
		w.until("00:06:00") // the round of each minute notices it
		w.wantBegan("a 05:06")
		w.last(engine.Exit{})
		w.until("00:10:30")
		w.wantBegan("a 05:06, a 05:10")
		w.last(engine.Exit{})
		w.put(-time.Hour)   // it reads 04:10:30, and 05:10 was
		w.until("01:10:20") // 05:10:20
		w.wantBegan("a 05:06, a 05:10")
		w.until("01:20:00")
		w.wantBegan("a 05:06, a 05:10, a 05:20")
		w.last(engine.Exit{})
		w.put(-4 * time.Hour) // it reads 01:20
		w.until("01:30:00")
		w.wantBegan("a 05:06, a 05:10, a 05:20, a 01:30")
	})
}

// Ticks that were missed while the server was down are skipped, and so is a run that was requested
// then. The results of earlier runs are kept.
func TestCronRestart(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a", "cron2": "@yearly b"}, func(t *testing.T, w *cronStage) {
		w.until("00:10:00")
		w.stop()
		if !w.entryRuns()[0].Ended() || w.result() != "killed: the server stopped" || !w.entry(1).Next.IsZero() {
			t.Error(w.result(), w.entry(1).Next)
		}
		s, _ := w.app.Wanted()
		s.Cron = volume.CronRequest{Entry: 2, Token: "early"}
		w.app.SetWanted(s)
		w.until("00:25:00")
		w.start()
		state, _ := w.app.Cron()
		if e := w.entry(1); e.Last.Result != "killed: the server stopped" || e.Tick.Format("15:04") != "00:10" || e.Next.Format("15:04") != "00:30" ||
			len(state.Asked) != 1 || !strings.HasPrefix(state.Asked[0].Result, "skipped: the server has just started") {
			t.Errorf("%+v %+v", e, state.Asked)
		}
		w.wantBegan("a 00:10")
		w.until("00:30:00")
		w.wantBegan("a 00:10, a 00:30")

		// A server that was killed has not recorded how the run ended.
		asItWas, err := os.ReadFile(w.app.Dir() + "/cron.json")
		if err != nil {
			t.Fatal(err)
		}
		w.stop()
		if err := os.WriteFile(w.app.Dir()+"/cron.json", asItWas, 0o644); err != nil {
			t.Fatal(err)
		}
		w.start()
		if w.result() != "killed: the server ended" || w.entry(1).Last.At.Format("15:04") != "00:30" {
			t.Error(w.result())
		}
		w.wantBegan("a 00:10, a 00:30")
	})
}

// When the app is destroyed, its runs end.
func TestCronOfADestroyedApp(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *cronStage) {
		w.until("00:10:00")
		done := w.turn()
		if err := w.app.Volume().Destroy(w.app); err != nil {
			t.Fatal(err)
		}
		done()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !w.entryRuns()[0].Ended() {
			t.Error("the run goes on")
		}
		if w.app.Exists() {
			t.Error("the app still exists")
		}
		w.until("01:00:00")
		w.wantBegan("a 00:10")
	})
}

// The config var TZ sets the time zone of the entries.
func TestCronZone(t *testing.T) {
	withCronStage(t, map[string]string{"cron": "30 1 * * * a"}, func(t *testing.T, w *cronStage) {
		if e := w.entry(1); e.Next.Format("15:04") != "01:30" {
			t.Error(e.Next)
		}
		w.deploy(map[string]string{"cron": "30 1 * * * a"}, map[string]string{"TZ": "Asia/Kolkata"}) // UTC+5:30
		if e := w.entry(1); e.Next.Format(time.DateTime) != "2000-01-01 20:00:00" {
			t.Error(e.Next)
		}
		if state, _ := w.app.Cron(); state.Zone != "Asia/Kolkata" {
			t.Error(state.Zone)
		}
		w.deploy(map[string]string{"cron": "30 1 * * * a"}, map[string]string{"TZ": "../x"})
		if e := w.entry(1); e.Next.Format("15:04") != "01:30" {
			t.Error(e.Next)
		}
		text, _ := os.ReadFile(w.app.ReleaseLog(3))
		if !strings.Contains(string(text), "TZ names no time zone") || strings.Contains(string(text), "../x") || !strings.Contains(string(text), "Cron: 1 command, by the server's clock") {
			t.Errorf("%s", text)
		}
	})
}
