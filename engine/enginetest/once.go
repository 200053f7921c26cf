package enginetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
	"paas/volume"
)

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

// killGrace is a grace that is short for a test, and long enough to be noticed.
const killGrace = time.Second / 5

// A process that ignores SIGTERM is killed after the grace.
func killsOnce(t *testing.T, b *bench) {
	var out rig.Screen
	job := b.job("trap '' TERM; echo ready; sleep 1000")
	job.Out = &out
	p := b.start(job)
	rig.Eventually(t, "it ignores SIGTERM", func() bool { return out.String() != "" })
	began := time.Now()
	p.Stop(killGrace)
	if took := time.Since(began); took < killGrace {
		t.Errorf("it ended after %v", took)
	}
	if want := (engine.Exit{Signal: int(syscall.SIGKILL)}); p.Exit() != want {
		t.Errorf("%+v", p.Exit())
	}
}

func signals(t *testing.T, b *bench) {
	var out rig.Screen
	job := b.job("trap 'exit 5' USR1; echo ready; sleep 1000 & wait")
	job.Out = &out
	p := b.start(job)
	rig.Eventually(t, "it expects the signal", func() bool { return out.String() != "" })
	p.Signal(int(syscall.SIGUSR1))
	<-p.Done()
	if want := (engine.Exit{Code: 5}); p.Exit() != want {
		t.Errorf("%+v", p.Exit())
	}
	p.Signal(int(syscall.SIGUSR1)) // it has ended already
}

func hasTerminal(t *testing.T, b *bench) {
	if b.NoTerminal {
		t.Skip("the engine has no terminals")
	}
	var out rig.Screen
	job := b.job("trap 'stty size; exit 0' WINCH; echo $TERM; stty size; sleep 1000 & wait")
	job.Out = &out
	job.Terminal = &engine.Terminal{Type: "vt100", Columns: 80, Rows: 24}
	p := b.start(job)
	rig.Eventually(t, "it shows the size", func() bool { return strings.Contains(out.String(), "24 80") })
	p.Resize(132, 50)
	<-p.Done()
	if out.String() != "vt100\r\n24 80\r\n50 132\r\n" {
		t.Errorf("it printed %q", out.String())
	}
	if !p.Exit().OK() {
		t.Errorf("%+v", p.Exit())
	}
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

func (b *bench) build(ctx context.Context, script string, out io.Writer) (volume.Built, error) {
	return b.Engine.Build(ctx, engine.BuildJob{
		Image: b.Image, Config: map[string]string{"BUILD": script}, Out: out,
	})
}

func builds(t *testing.T, b *bench) {
	var out rig.Screen
	built, err := b.build(t.Context(), "echo compiled", &out)
	if err != nil {
		t.Fatal(err)
	}
	if built.Processes["web"] == "" {
		t.Errorf("%+v", built)
	}
	rig.WantIn(t, "output", out.String(), "compiled")
	crosses(t, built)
}

func buildFails(t *testing.T, b *bench) {
	var out rig.Screen
	_, err := b.build(t.Context(), "echo broken; exit 3", &out)
	rig.WantIn(t, "error", rig.Message(err), "exit status 3")
	rig.WantIn(t, "output", out.String(), "broken")
}

func buildIsStopped(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out rig.Screen
	ended := make(chan error, 1)
	go func() {
		_, err := b.build(ctx, "echo begun; sleep 1000", &out)
		ended <- err
	}()
	rig.Eventually(t, "it builds", func() bool { return strings.Contains(out.String(), "begun") })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A build that is there can be run after a sweep.
func sweeps(t *testing.T, b *bench) {
	if err := b.Engine.Sweep(t.Context(), b.Image.App); err != nil { // nothing is kept
		t.Error(err)
	}
	if _, err := b.build(t.Context(), "exit 0", io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := b.Engine.Sweep(t.Context(), b.Image.App); err != nil {
		t.Error(err)
	}
	p := b.start(b.job("exit 0"))
	<-p.Done()
	if !p.Exit().OK() {
		t.Errorf("%+v", p.Exit())
	}
}
