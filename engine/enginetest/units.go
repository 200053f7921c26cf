package enginetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
	"paas/volume"
)

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

// The last lines of a process that has died are kept.
func lastLines(t *testing.T, b *bench) {
	script, want := "", []string{}
	for i := range 25 {
		script += fmt.Sprintf("echo line %d; ", i)
		if i >= 5 {
			want = append(want, fmt.Sprintf("line %d", i))
		}
	}
	b.want(b.unit(script+"exit 3", 1))
	p := b.place(1, "it waits", func(p engine.Place) bool { return p.State == engine.Waiting })
	if !reflect.DeepEqual(p.Last, want) {
		t.Errorf("%q", p.Last)
	}
}

// A process that ignores SIGTERM is killed after the grace. The shorter one of two counts.
func grace(t *testing.T, b *bench) {
	u := b.unit("trap '' TERM; echo ready; sleep 1000", 1)
	b.want(u)
	b.ready(b.running(1))
	b.Engine.Drop(t.Context(), u.Name, time.Hour)
	b.until("worker.1 stopping")
	began := time.Now()
	b.Engine.Drop(t.Context(), u.Name, killGrace)
	b.until("")
	if took := time.Since(began); took < killGrace {
		t.Errorf("it was killed after %v", took)
	}
}

// What a place or process says about its limits is as wanted, except for limits that the engine
// cannot enforce.
func limits(t *testing.T, b *bench) {
	wanted := volume.Limits{Memory: 256 << 20, CPU: 1, Processes: 100}
	u, job := b.unit("sleep 1000", 1), b.job("sleep 1000")
	u.Limits, job.Limits = wanted, wanted
	b.want(u)
	for what, got := range map[string]volume.Limits{
		"place":   b.running(1).Limits,
		"process": b.start(job).Limits(),
	} {
		if got.Over(wanted) != wanted {
			t.Errorf("%s: %+v", what, got)
		}
		if got.Memory == 0 && !b.NoMemoryLimit {
			t.Errorf("%s: memory is not limited", what)
		}
	}
}

// A process that uses too much memory ends, and the reason says so.
func limitsMemory(t *testing.T, b *bench) {
	if b.NoMemoryLimit {
		t.Skip("the engine enforces no limits of memory")
	}
	u := b.unit("x=0123456789; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do x=$x$x; done; sleep 1000", 1)
	u.Limits.Memory = 32 << 20
	b.want(u)
	p := b.place(1, "it waits", func(p engine.Place) bool { return p.State == engine.Waiting })
	rig.WantIn(t, "reason", p.Exit.Reason, "memory")
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
