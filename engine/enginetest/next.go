package enginetest

import (
	"io"
	"reflect"
	"syscall"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
)

// next closes the engine, and opens that of the next server.
func (b *bench) next() {
	b.t.Helper()
	if b.Next == nil {
		b.t.Skip("nothing goes on after the server")
	}
	b.close()
	b.Engine = b.Next()
	b.open()
}

func (b *bench) detach(id, script string) engine.Process {
	b.t.Helper()
	job := b.job(script)
	job.Detached = &engine.Detached{ID: id, Log: "run.1", Note: "noted"}
	return b.start(job)
}

func (b *bench) runs() []engine.Run {
	b.t.Helper()
	list, err := b.Engine.Runs(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// A detached job is listed until it has ended and is forgotten.
func detached(t *testing.T, b *bench) {
	p := b.detach("a", "echo hello; exit 3")
	<-p.Done()
	if want := (engine.Exit{Code: 3}); p.Exit() != want {
		t.Errorf("%+v", p.Exit())
	}
	long := b.detach("b", "sleep 1000")
	job := b.job("sleep 1000")
	job.Detached = &engine.Detached{ID: "b", Log: "run.2"}
	if _, err := b.Engine.Start(t.Context(), job); err == nil {
		t.Error("two jobs have the same id")
	}
	b.start(b.job("exit 0"))
	list := b.runs()
	if len(list) != 2 || list[0].Detached.ID != "a" || list[1].Detached.ID != "b" {
		t.Fatalf("%+v", list)
	}
	if r := list[0]; r.Ended.IsZero() || r.Exit() != p.Exit() || r.Type != "run" || r.Detached.Note != "noted" || len(r.Env) > 0 {
		t.Errorf("%+v", r)
	}
	if r := list[1]; !r.Ended.IsZero() || r.PID() != long.PID() || r.App != b.Image.App || r.Image.Build != b.Image.Build {
		t.Errorf("%+v", r)
	}
	for _, id := range []string{"a", "b", "c"} { // one runs, and one is unknown
		if err := b.Engine.Forget(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	list[1].Stop(10 * time.Second)
	<-long.Done()
	if want := (engine.Exit{Signal: int(syscall.SIGTERM)}); long.Exit() != want {
		t.Errorf("%+v", long.Exit())
	}
	if list = b.runs(); len(list) != 1 || list[0].Detached.ID != "b" {
		t.Errorf("%+v", list)
	}
}

// The next server finds the same processes, and what is known of those before.
func nextFindsUnits(t *testing.T, b *bench) {
	u := b.unit("echo one; sleep 1000", 1)
	b.want(u)
	failing := b.unit("echo last words; exit 3", 2)
	failing.Name.Copy = 1
	b.want(failing)
	b.ready(b.running(1))
	b.place(2, "it has ended often", func(p engine.Place) bool { return p.Restarts >= 3 })
	first := b.running(1)
	b.next()
	if now := b.running(1); !reflect.DeepEqual(now, first) {
		t.Errorf("%+v, then %+v", first, now)
	}
	p := b.place(2, "it waits", func(p engine.Place) bool { return p.State == engine.Waiting })
	if p.Restarts < 3 || p.Failures != p.Restarts || !reflect.DeepEqual(p.Last, []string{"last words"}) {
		t.Errorf("%+v", p)
	}
	if units, err := b.Engine.Units(t.Context()); err != nil || len(units) != 2 {
		t.Errorf("%v, %v", units, err)
	}
	logs, err := b.Engine.Logs(t.Context(), first, false)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	if text, err := io.ReadAll(logs); string(text) != "one\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	b.want(u) // adopts it
	if now := b.running(1); !now.Same(first) {
		t.Errorf("%+v, then %+v", first, now)
	}
	b.drop(u)
	b.drop(failing)
	b.until("")
}

// Detached jobs go on without a server, and the next one learns how they ended. Others end with
// their server.
func nextFindsJobs(t *testing.T, b *bench) {
	long := b.detach("long", "sleep 1000")
	b.detach("short", "sleep 0.5; exit 4")
	attached := b.start(b.job("sleep 1000"))
	before := b.runs()
	b.next()
	<-attached.Done()
	if attached.Exit().Signal == 0 { // the one of Stop or of the kill after it
		t.Errorf("the attached job: %+v", attached.Exit())
	}
	list := b.runs()
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	if r := list[0]; r.PID() != long.PID() || !r.Since.Equal(before[0].Since) || !r.Ended.IsZero() || !reflect.DeepEqual(r.Detached, before[0].Detached) {
		t.Errorf("%+v", r)
	}
	<-list[1].Done()
	if want := (engine.Exit{Code: 4}); list[1].Exit() != want {
		t.Errorf("%+v", list[1].Exit())
	}
	b.next()
	list = b.runs()
	if want := (engine.Exit{Code: 4}); list[1].Exit() != want || list[1].Ended.IsZero() {
		t.Errorf("%+v", list[1])
	}
	list[0].Signal(int(syscall.SIGKILL))
	<-list[0].Done()
	if want := (engine.Exit{Signal: int(syscall.SIGKILL)}); list[0].Exit() != want {
		t.Errorf("%+v", list[0].Exit())
	}
	rig.Eventually(t, "both are forgotten", func() bool {
		for _, r := range b.runs() {
			b.Engine.Forget(t.Context(), r.Detached.ID)
		}
		return len(b.runs()) == 0
	})
}
