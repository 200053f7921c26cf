// Package enginetest is a test suite for engines, and an engine in memory for tests of the packages
// above the seam.
package enginetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
)

// Suite describes the engine to test, and what it lacks.
type Suite struct {
	Engine engine.Engine // not open yet; the suite opens and closes it
	Env    map[string]string

	// Image is a build of the app blog. It must have /bin/sh, and its build must run the shell
	// script in the config var BUILD.
	Image engine.Image

	// Serve is a program that listens on $PORT.
	Serve []string

	// Next returns the engine of the next server, which is not open yet: units and detached jobs have
	// gone on. nil: they end at Close.
	Next func() engine.Engine

	NoTerminal    bool // processes that run once cannot have a terminal
	NoListening   bool // it cannot find out where a process listens
	NoMemoryLimit bool // it does not enforce limits of memory
}

// Run runs all tests of the suite, each on a new engine from begin.
func Run(t *testing.T, begin func(*testing.T) Suite) {
	for name, test := range map[string]func(*testing.T, *bench){
		"starts once":           startsOnce,
		"does not start":        doesNotStart,
		"stops once":            stopsOnce,
		"kills once":            killsOnce,
		"signals":               signals,
		"terminal":              hasTerminal,
		"environment":           environment,
		"builds":                builds,
		"build fails":           buildFails,
		"build is stopped":      buildIsStopped,
		"sweeps":                sweeps,
		"runs a unit":           runsAUnit,
		"starts again":          startsAgain,
		"last lines":            lastLines,
		"cannot start":          cannotStart,
		"grace":                 grace,
		"limits":                limits,
		"memory":                limitsMemory,
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
		"listening":             listening,
		"closes":                closes,
		"detached":              detached,
		"next finds units":      nextFindsUnits,
		"next finds jobs":       nextFindsJobs,
		"values cross a socket": valuesCross,
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, Suite: begin(t)}
			b.open()
			test(t, b)
		})
	}
}

// bench is the state of one test.
type bench struct {
	t *testing.T
	Suite
	close func() // closes the engine, once
}

func (b *bench) open() {
	b.t.Helper()
	if err := b.Engine.Open(); err != nil {
		b.t.Fatal(err)
	}
	b.close = sync.OnceFunc(func() {
		if err := b.Engine.Close(); err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(b.close)
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

// ready waits until a process of a unit has printed a line.
func (b *bench) ready(at engine.Place) {
	b.t.Helper()
	logs, err := b.Engine.Logs(b.t.Context(), at, true)
	if err != nil {
		b.t.Fatal(err)
	}
	defer logs.Close()
	if _, err := bufio.NewReader(logs).ReadString('\n'); err != nil {
		b.t.Error(err)
	}
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

// Close ends what runs, and nothing starts after it.
func closes(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1)
	b.want(u)
	b.running(1)
	p := b.start(b.job("sleep 1000"))
	b.close()
	rig.Eventually(t, "the process that runs once has ended", func() bool { return closed(p.Done()) })
	if b.Next == nil {
		b.until("")
	}
	if err := b.Engine.Want(t.Context(), u); err == nil {
		t.Error("a unit can be wanted")
	}
	if p, err := b.Engine.Start(t.Context(), b.job("sleep 1000")); err == nil {
		p.Stop(0)
		t.Error("a process can be started")
	}
}
