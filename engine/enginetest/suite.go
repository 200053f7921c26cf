// Package enginetest is a test suite for engines, and an engine in memory for tests of the packages
// above the seam.
package enginetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
)

// Suite describes the engine to test.
type Suite struct {
	Engine engine.Engine
	Image  engine.Image // of the app blog; it must have /bin/sh
	Env    map[string]string

	// Serve is a program that listens on $PORT.
	Serve []string
}

// Run runs all tests of the suite, each on a new engine from begin.
func Run(t *testing.T, begin func(*testing.T) Suite) {
	for name, test := range map[string]func(*testing.T, *bench){
		"starts once":           startsOnce,
		"does not start":        doesNotStart,
		"stops once":            stopsOnce,
		"environment":           environment,
		"runs a unit":           runsAUnit,
		"starts again":          startsAgain,
		"cannot start":          cannotStart,
		"fewer":                 fewer,
		"wanted again":          wantedAgain,
		"copies side by side":   copies,
		"restart":               restart,
		"tells who watches":     tellsWhoWatches,
		"tells later watchers":  tellsLaterWatchers,
		"logs":                  followsLogs,
		"logs end with ctx":     logsEnd,
		"runs a command":        execs,
		"dials":                 dials,
		"values cross a socket": valuesCross,
	} {
		t.Run(name, func(t *testing.T) { test(t, &bench{t: t, Suite: begin(t)}) })
	}
}

// bench is the state of one test.
type bench struct {
	t *testing.T
	Suite
}

func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

func (b *bench) unit(script string, indexes ...int) engine.Unit {
	return engine.Unit{
		Name:    engine.UnitName{App: b.Image.App, Release: 7, Type: "worker"},
		Indexes: indexes, Image: b.Image, Argv: shell(script), Env: b.env(), Grace: 5 * time.Second, Stable: time.Minute,
	}
}

func (b *bench) env() map[string]string {
	env := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"}
	for name, value := range b.Env {
		env[name] = value
	}
	return env
}

func (b *bench) want(u engine.Unit) {
	b.t.Helper()
	if err := b.Engine.Want(b.t.Context(), u); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { b.Engine.Drop(context.Background(), u.Name, 0) })
}

func (b *bench) drop(u engine.Unit) {
	b.t.Helper()
	if err := b.Engine.Drop(b.t.Context(), u.Name, time.Second); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) places() []engine.Place {
	b.t.Helper()
	all, err := b.Engine.Places(b.t.Context(), b.Image.App)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// stands returns the places as text: "worker.1 running".
func (b *bench) stands() string {
	var all []string
	for _, p := range b.places() {
		all = append(all, fmt.Sprintf("%s.%d %s", p.Unit.Type, p.Index, p.State))
	}
	return strings.Join(all, ", ")
}

func (b *bench) until(want string) {
	b.t.Helper()
	rig.Eventually(b.t, want, func() bool { return b.stands() == want })
}

// place waits until the place of a process is as wanted.
func (b *bench) place(index int, what string, wanted func(engine.Place) bool) (found engine.Place) {
	b.t.Helper()
	rig.Eventually(b.t, what, func() bool {
		for _, p := range b.places() {
			if p.Index == index && wanted(p) {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

func (b *bench) running(index int) engine.Place {
	b.t.Helper()
	return b.place(index, "it runs", func(p engine.Place) bool { return p.State == engine.Running })
}

func (b *bench) job(script string) engine.Job {
	return engine.Job{App: b.Image.App, Release: 7, Type: "run", Index: 1, Image: b.Image, Argv: shell(script), Env: b.env(), Out: io.Discard}
}

func (b *bench) start(job engine.Job) engine.Process {
	b.t.Helper()
	p, err := b.Engine.Start(b.t.Context(), job)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { p.Stop(0) })
	return p
}

// A process that runs once reports how it ended.
func startsOnce(t *testing.T, b *bench) {
	for script, want := range map[string]engine.Exit{
		"exit 0":        {},
		"exit 3":        {Code: 3},
		"kill -KILL $$": {Signal: int(syscall.SIGKILL)},
	} {
		var out rig.Screen
		job := b.job("echo hello; " + script)
		job.Out = &out
		p := b.start(job)
		<-p.Done()
		if p.Exit() != want {
			t.Errorf("%s: %+v", script, p.Exit())
		}
		if out.String() != "hello\n" {
			t.Errorf("%s: it printed %q", script, out.String())
		}
	}
}

func doesNotStart(t *testing.T, b *bench) {
	job := b.job("")
	job.Argv = []string{"no-such-program"}
	_, err := b.Engine.Start(t.Context(), job)
	if e, ok := errors.AsType[engine.StartError](err); !ok || e.Status != 127 {
		t.Errorf("%#v", err)
	}
}

func stopsOnce(t *testing.T, b *bench) {
	p := b.start(b.job("sleep 1000"))
	p.Stop(10 * time.Second)
	if want := (engine.Exit{Signal: int(syscall.SIGTERM)}); p.Exit() != want {
		t.Errorf("%+v", p.Exit())
	}
	p.Stop(time.Hour) // it has ended already
}

// The placeholders in the environment are replaced.
func environment(t *testing.T, b *bench) {
	var out rig.Screen
	job := b.job("echo $WHERE; echo $PLAIN")
	job.Env["WHERE"], job.Env["PLAIN"] = "at "+engine.Tree+" "+engine.Data+" "+engine.Cache, "as it is"
	job.Out = &out
	<-b.start(job).Done()
	where, plain, _ := strings.Cut(out.String(), "\n")
	if words := strings.Fields(where); len(words) != 4 || !strings.HasPrefix(words[1], "/") || strings.Contains(where, "\x00") {
		t.Errorf("%q", where)
	}
	if plain != "as it is\n" {
		t.Errorf("%q", plain)
	}
}

func runsAUnit(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1, 2)
	b.want(u)
	b.until("worker.1 running, worker.2 running")
	first := b.running(1)
	b.want(u) // has no effect
	if now := b.running(1); !now.Same(first) || now.Restarts != 0 {
		t.Errorf("%+v, then %+v", first, now)
	}
	if units, err := b.Engine.Units(t.Context()); err != nil || len(units) != 1 || units[0] != u.Name {
		t.Errorf("%v, %v", units, err)
	}
	b.drop(u)
	b.until("")
	if units, err := b.Engine.Units(t.Context()); err != nil || len(units) > 0 {
		t.Errorf("%v, %v", units, err)
	}
	b.drop(u) // not an error
}

func startsAgain(t *testing.T, b *bench) {
	b.want(b.unit("echo one; echo two; exit 3", 1))
	p := b.place(1, "it waits", func(p engine.Place) bool { return p.State == engine.Waiting && p.Restarts == 1 })
	if want := (engine.Exit{Code: 3}); p.Exit != want {
		t.Errorf("%+v", p.Exit)
	}
	if p.Failures != 1 || p.Next.IsZero() {
		t.Errorf("%+v", p)
	}
	if !reflect.DeepEqual(p.Last, []string{"one", "two"}) {
		t.Errorf("it printed last %q", p.Last)
	}
	p = b.place(1, "it waits again", func(p engine.Place) bool { return p.State == engine.Waiting && p.Restarts >= 3 })
	if p.Failures != p.Restarts {
		t.Errorf("%+v", p)
	}
}

func cannotStart(t *testing.T, b *bench) {
	u := b.unit("", 1)
	u.Argv = []string{"no-such-program"}
	b.want(u)
	p := b.place(1, "it waits", func(p engine.Place) bool { return p.State == engine.Waiting })
	if !p.Since.IsZero() {
		t.Errorf("started at %v", p.Since)
	}
	if !strings.Contains(p.Exit.Reason, "no-such-program") {
		t.Errorf("%+v", p.Exit)
	}
	b.drop(u)
	b.until("")
}

func fewer(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1, 2, 3)
	b.want(u)
	b.until("worker.1 running, worker.2 running, worker.3 running")
	first := b.running(1)
	u.Indexes = []int{1, 3}
	b.want(u)
	b.until("worker.1 running, worker.3 running")
	if now := b.running(1); !now.Same(first) {
		t.Errorf("%+v, then %+v", first, now)
	}
	u.Indexes = nil
	b.want(u)
	b.until("")
	if units, err := b.Engine.Units(t.Context()); err != nil || len(units) != 1 {
		t.Errorf("%v, %v", units, err)
	}
}

// A process that is wanted again while it is being ended starts at once after that.
func wantedAgain(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1)
	b.want(u)
	first := b.running(1)
	b.drop(u)
	b.want(u)
	p := b.place(1, "it runs again", func(p engine.Place) bool { return p.State == engine.Running && p.Start > first.Start })
	if p.Failures != 0 {
		t.Errorf("%+v", p)
	}
	if len(b.places()) != 1 {
		t.Errorf("%s", b.stands())
	}
}

func copies(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1)
	b.want(u)
	beside := u
	beside.Name.Copy = 1
	b.want(beside)
	b.until("worker.1 running, worker.1 running")
	b.drop(u)
	b.until("worker.1 running")
	if left := b.places(); left[0].Unit != beside.Name {
		t.Errorf("%+v", left)
	}
}

func restart(t *testing.T, b *bench) {
	b.want(b.unit("sleep 1000", 1))
	first := b.running(1)
	if err := b.Engine.Restart(t.Context(), first, "not alive"); err != nil {
		t.Error(err)
	}
	p := b.place(1, "it has ended", func(p engine.Place) bool { return p.Restarts == 1 })
	if want := (engine.Exit{Reason: "not alive"}); p.Exit != want {
		t.Errorf("%+v", p.Exit)
	}
	second := b.place(1, "it runs again", func(p engine.Place) bool { return p.State == engine.Running && p.Start > first.Start })
	b.Engine.Restart(t.Context(), first, "not alive") // its process has been replaced
	if now := b.running(1); !now.Same(second) {
		t.Errorf("%+v, then %+v", second, now)
	}
}

func tellsWhoWatches(t *testing.T, b *bench) {
	told := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Engine.Watch(ctx, func(app string) { told <- app }) }()
	u := b.unit("sleep 1000", 1)
	b.want(u)
	for b.stands() != "worker.1 running" {
		if app := <-told; app != b.Image.App {
			t.Errorf("told of %s", app)
		}
	}
	b.drop(u)
	for b.stands() != "" {
		<-told
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func tellsLaterWatchers(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1)
	b.want(u)
	b.running(1)
	b.drop(u)
	for b.stands() != "" { // nobody watches
		time.Sleep(time.Millisecond)
	}
	told := make(chan string, 1000)
	go b.Engine.Watch(t.Context(), func(app string) { told <- app })
	if app := <-told; app != b.Image.App {
		t.Errorf("told of %s", app)
	}
}

func followsLogs(t *testing.T, b *bench) {
	b.want(b.unit("echo one; sleep 0.2; echo two; exit 1", 1))
	p := b.running(1)
	logs, err := b.Engine.Logs(t.Context(), p, true)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	if text, err := io.ReadAll(logs); string(text) != "one\ntwo\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func logsEnd(t *testing.T, b *bench) {
	b.want(b.unit("echo one; sleep 1000", 1))
	p := b.running(1)
	ctx, cancel := context.WithCancel(t.Context())
	logs, err := b.Engine.Logs(ctx, p, true)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	lines := bufio.NewReader(logs)
	if line, err := lines.ReadString('\n'); line != "one\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	now, err := b.Engine.Logs(t.Context(), p, false)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if text, err := io.ReadAll(now); string(text) != "one\n" || err != nil {
		t.Errorf("without follow: %q, %v", text, err)
	}
	cancel()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func execs(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1)
	u.Env["NAME"] = "shared"
	b.want(u)
	p := b.running(1)
	output, exit, err := b.Engine.Exec(t.Context(), p, engine.Command{Argv: shell("echo it is $NAME; exit 4"), Max: 7})
	if output != "shared\n" || err != nil {
		t.Errorf("%q, %v", output, err)
	}
	if want := (engine.Exit{Code: 4}); exit != want {
		t.Errorf("%+v", exit)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("too slow"))
	defer cancel()
	if _, _, err := b.Engine.Exec(ctx, p, engine.Command{Argv: shell("sleep 1000")}); rig.Message(err) != "too slow" {
		t.Error(err)
	}
}

func dials(t *testing.T, b *bench) {
	u := b.unit("", 1)
	u.Name.Type, u.Listens, u.Argv, u.Env["PORT"] = "web", true, b.Serve, engine.Port
	b.want(u)
	p := b.running(1)
	if p.Addr == "" {
		t.Fatalf("%+v", p)
	}
	rig.Eventually(t, "it listens", func() bool {
		conn, err := b.Engine.Dial(t.Context(), p, 0)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	b.drop(u)
	b.until("")
	if conn, err := b.Engine.Dial(t.Context(), p, 0); err == nil {
		conn.Close()
		t.Error("dialed a process that has ended")
	}
}

// Units and places are plain values: nothing is lost when they pass through a socket.
func valuesCross(t *testing.T, b *bench) {
	u := b.unit("exit 3", 1)
	u.Env["HOME"] = engine.Data
	u.Limits.Memory = 1 << 20
	crosses(t, u)
	u.Limits.Memory = 0
	b.want(u)
	crosses(t, b.place(1, "it waits", func(p engine.Place) bool { return p.State == engine.Waiting }))
}

func crosses[T any](t *testing.T, value T) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, value) {
		t.Errorf("%+v became %+v", value, got)
	}
}
