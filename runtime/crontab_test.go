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

// clockwork is a runtime of one app on a clock that goes when nothing else does, and whose
// processes end when they are told to. It begins on a Saturday, 2000-01-01 00:00:00 UTC.
type clockwork struct {
	*stage
	rt        *Runtime
	stop      func()
	processes map[string]string // of the builds that follow
	file      string            // app.json of the builds that follow
	slow      time.Duration     // runs that begin from now on heed no SIGTERM for so long

	mu   sync.Mutex
	set  time.Duration // how far the clock on the wall has been put forward
	runs []*shift
}

// shift is one run of an entry.
type shift struct {
	*enginetest.Process
	at   time.Time // by the clock on the wall
	real time.Time // by the one that only goes
}

func (s *shift) line() string { return strings.Join(s.Argv, " ") }

func (w *clockwork) makes(context.Context, engine.BuildJob) (volume.Built, error) {
	return volume.Built{Processes: w.processes}, nil
}

func (w *clockwork) begins(p *enginetest.Process) error {
	if p.Type != "cron" {
		return nil
	}
	if p.Argv[0] == "missing" {
		return engine.StartError{Status: 127, Reason: "cron: missing: not found in PATH"}
	}
	s := &shift{Process: p, at: w.wall(), real: time.Now()}
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

// lingers has runs that begin from now on heed no SIGTERM for so long.
func (w *clockwork) lingers(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow = d
}

func (w *clockwork) wall() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.set)
}

func (w *clockwork) put(forward time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set += forward
}

// tried plays f on a clockwork whose web app has these entries too.
func tried(t *testing.T, entries map[string]string, f func(*testing.T, *clockwork)) {
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
		w := &clockwork{stage: &stage{t: t, app: app, actors: map[int]*enginetest.Process{}}}
		w.engine = &enginetest.Memory{Begin: w.begins, Make: w.makes}
		w.start()
		defer func() { w.stop() }()
		w.deploy(entries, nil)
		f(t, w)
	})
}

// start starts the server.
func (w *clockwork) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.rt = &Runtime{Volume: w.app.Volume(), Engine: w.engine, Front: w, Log: slog.New(slog.DiscardHandler), now: w.wall}
	ended := make(chan struct{})
	go func() { w.rt.Run(ctx); close(ended) }()
	w.stop = func() { cancel(); <-ended }
	synctest.Wait()
}

// deploy makes a release of these entries live.
func (w *clockwork) deploy(entries, config map[string]string) int {
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

func (w *clockwork) publishWith(config map[string]string) int {
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

// until waits for a moment of 2000-01-01 by the clock that goes, and what happens then.
func (w *clockwork) until(clock string) {
	w.t.Helper()
	at, err := time.Parse(time.DateTime, "2000-01-01 "+clock)
	if err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(time.Until(at) + time.Millisecond)
	synctest.Wait()
}

// began are the runs so far: command and time of each, those of one minute by command.
func (w *clockwork) began() string {
	var all []string
	for _, s := range slices.SortedStableFunc(slices.Values(w.shifts()), func(a, b *shift) int {
		return cmp.Or(a.real.Truncate(time.Minute).Compare(b.real.Truncate(time.Minute)), cmp.Compare(a.line(), b.line()))
	}) {
		all = append(all, s.line()+" "+s.at.UTC().Format("15:04"))
	}
	return strings.Join(all, ", ")
}

func (w *clockwork) wantBegan(want string) {
	w.t.Helper()
	if got := w.began(); got != want {
		w.t.Errorf("ran: %s; want: %s", got, want)
	}
}

// shifts are the runs so far.
func (w *clockwork) shifts() []*shift {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.runs)
}

// last ends the last run.
func (w *clockwork) last(exit engine.Exit) {
	all := w.shifts()
	all[len(all)-1].End(exit)
	synctest.Wait()
}

func (w *clockwork) entry(id int) volume.CronEntry {
	w.t.Helper()
	state, err := w.app.Cron()
	if err != nil || len(state.Entries) < id {
		w.t.Fatalf("%+v, %v", state, err)
	}
	return state.Entries[id-1]
}

// result is how the last run of entry 1 ended.
func (w *clockwork) result() string {
	w.t.Helper()
	if last := w.entry(1).Last; last != nil {
		return last.Result
	}
	return "none"
}

func (w *clockwork) change(f func(*volume.Wanted)) {
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

// poke has the app look, as a bell would.
func (w *clockwork) poke() {
	w.app.Ring()
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

func TestCronTicks(t *testing.T) {
	tried(t, map[string]string{"cron": "*/10 * * * * a b", "cron-x": "@hourly y"}, func(t *testing.T, w *clockwork) {
		if next := w.entry(1).Next; next.Format("15:04:05") != "00:10:00" {
			t.Error(next)
		}
		w.until("00:09:59")
		w.wantBegan("")
		w.until("00:10:00")
		w.wantBegan("a b 00:10")
		p := w.shifts()[0]
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
		w.wantBegan("a b 00:10, a b 00:20, a b 00:30, y 01:00") // from 00:40 on the third one is in the way
		if s := w.entry(1).Skipped; s.Format("15:04") != "01:00" || w.result() != "" {
			t.Error(s, w.result())
		}
	})
}

func TestCronNotStarted(t *testing.T) {
	tried(t, map[string]string{"cron": "* * * * * missing"}, func(t *testing.T, w *clockwork) {
		w.until("00:01:00")
		if w.result() != "cron: missing: not found in PATH" {
			t.Error(w.result())
		}
	})
}

// With allow runs go on side by side; with replace the old one ends before the new one begins.
func TestCronOverlap(t *testing.T) {
	tried(t, nil, func(t *testing.T, w *clockwork) {
		w.file = `{"cron": [{"schedule": "* * * * *", "command": "a", "concurrency_policy": "allow"}]}`
		w.deploy(nil, nil)
		w.until("00:22:00")
		if len(w.shifts()) != 20 {
			t.Errorf("%d runs side by side", len(w.shifts()))
		}
		for _, s := range w.shifts() {
			s.End(engine.Exit{})
		}
		w.file = `{"cron": [{"schedule": "* * * * *", "command": "a", "concurrency_policy": "replace"}]}`
		w.deploy(nil, nil)
		w.lingers(150 * time.Second) // to be through with what it does
		w.until("00:23:00")
		w.lingers(0)
		w.until("00:25:29")
		if len(w.shifts()) != 21 {
			t.Error(w.began())
		}
		w.until("00:25:30")
		if !strings.HasSuffix(w.began(), "a 00:23, a 00:25") || !w.shifts()[20].Ended() {
			t.Error(w.began())
		}
	})
}

// A deploy brings its own entries. What runs of the old release goes on, and is in the way of its
// next run; what became of an entry stays with it.
func TestCronAcrossReleases(t *testing.T) {
	tried(t, map[string]string{"cron": "*/10 * * * * a", "cron2": "*/10 * * * * b"}, func(t *testing.T, w *clockwork) {
		w.until("00:10:00")
		w.deploy(map[string]string{"cron": "*/10 * * * * c", "cron2": "*/10 * * * * a"}, nil)
		if w.shifts()[0].Ended() {
			t.Error("the first run was stopped by the deploy")
		}
		if w.shifts()[1].Ended() {
			t.Error("the second run was stopped by the deploy")
		}
		if e := w.entry(2); e.Command != "a" || e.Last == nil || e.Last.Release != 1 || e.Next.Format("15:04") != "00:20" {
			t.Errorf("%+v", e)
		}
		w.until("00:20:00")
		w.wantBegan("a 00:10, b 00:10, c 00:20")
		w.shifts()[0].End(engine.Exit{})
		w.shifts()[1].End(engine.Exit{})
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
	tried(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *clockwork) {
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

// cron:run runs an entry at once, each request once, and is told where an earlier run is in the
// way.
func TestCronAsked(t *testing.T) {
	tried(t, map[string]string{"cron": "@yearly a"}, func(t *testing.T, w *clockwork) {
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
		if len(w.shifts()) != 1 || answer("one") != "" {
			t.Error(w.began(), answer("one"))
		}
		request(1, "two")
		if want := "skipped: the run of 2000-01-01 00:0"; !strings.HasPrefix(answer("two"), want) {
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

// The clock is put forward: what is due runs once, however much was left out. It is put back:
// nothing runs twice, unless the clock was quite wrong.
func TestCronClockJumps(t *testing.T) {
	tried(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *clockwork) {
		w.until("00:05:00")
		w.put(5 * time.Hour)
		w.until("00:06:00") // the minute's round finds out
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

// What was due while the server was down is not made up for. What is known of the runs survives; a
// request that nobody took up does not.
func TestCronRestart(t *testing.T) {
	tried(t, map[string]string{"cron": "*/10 * * * * a", "cron2": "@yearly b"}, func(t *testing.T, w *clockwork) {
		w.until("00:10:00")
		w.stop()
		if !w.shifts()[0].Ended() || w.result() != "killed: the server stopped" || !w.entry(1).Next.IsZero() {
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

		// A server that was killed did not say how the run ended.
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

// With the app its runs go.
func TestCronOfADestroyedApp(t *testing.T) {
	tried(t, map[string]string{"cron": "*/10 * * * * a"}, func(t *testing.T, w *clockwork) {
		w.until("00:10:00")
		done := w.turn()
		if err := w.app.Volume().Destroy(w.app); err != nil {
			t.Fatal(err)
		}
		done()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !w.shifts()[0].Ended() {
			t.Error("the run goes on")
		}
		if w.app.Exists() {
			t.Error("the app still exists")
		}
		w.until("01:00:00")
		w.wantBegan("a 00:10")
	})
}

// The entries go by the clock of the config var TZ.
func TestCronZone(t *testing.T) {
	tried(t, map[string]string{"cron": "30 1 * * * a"}, func(t *testing.T, w *clockwork) {
		if e := w.entry(1); e.Next.Format("15:04") != "01:30" {
			t.Error(e.Next)
		}
		w.deploy(map[string]string{"cron": "30 1 * * * a"}, map[string]string{"TZ": "Asia/Kolkata"}) // 5:30 before UTC
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
