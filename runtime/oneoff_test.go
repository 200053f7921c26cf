package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paas/rig"
	"paas/volume"
)

// desk is a runtime with one app of one live release, and an engine on which a command is what the
// test makes of it.
type desk struct {
	*stage
	rt    *Runtime
	specs chan Spec
	err   error // of Start
}

// errand is a command that ends as the test says.
type errand struct {
	actor
	err error
}

func (e *errand) Err() error { return e.err }
func (e *errand) Stop(time.Duration) {
	e.once.Do(func() { e.err = exit("kill -TERM $$"); close(e.done) })
}
func (e *errand) end(err error) { e.once.Do(func() { e.err = err; close(e.done) }) }

func (d *desk) Start(spec Spec) (Process, error) {
	if d.err != nil {
		return nil, d.err
	}
	e := &errand{actor: actor{release: 4711, done: make(chan struct{})}}
	d.mu.Lock()
	d.actors[spec.Index] = &e.actor
	d.mu.Unlock()
	d.specs <- spec
	switch line := strings.Join(spec.Argv, " "); {
	case strings.HasPrefix(line, "echo"):
		fmt.Fprintln(spec.Out, line[len("echo "):])
		e.end(nil)
	case strings.HasPrefix(line, "sh "):
		e.end(exit(spec.Argv[2]))
	}
	return e, nil
}

// exit is how line, run by a shell, ends.
func exit(line string) error { return exec.Command("/bin/sh", "-c", line).Run() }

func newDesk(t *testing.T) *desk {
	d := &desk{stage: newStage(t), specs: make(chan Spec, 100)}
	d.rt = &Runtime{Volume: d.app.Volume(), Engine: d, Front: d, Log: slog.New(slog.DiscardHandler)}
	d.goLive(volume.Settings{Config: map[string]string{"TOKEN": "x"}})
	return d
}

// goLive makes a release live, as if it had been deployed.
func (d *desk) goLive(s volume.Settings) volume.Release {
	d.t.Helper()
	dir, err := d.app.Volume().TempDir()
	if err != nil {
		d.t.Fatal(err)
	}
	b, err := d.app.PublishBuild(volume.Build{Commit: "0123456789abcdef"}, dir)
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := d.app.Publish(volume.Release{Build: b.ID, Commit: b.Commit, Settings: s})
	err = errors.Join(err, d.app.SetBuilt(b.ID, volume.Built{Kind: "node"}), d.app.SetLive(r.N))
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) run(ctx context.Context, argv ...string) (int, error) {
	return d.rt.RunOnce(ctx, Once{App: "blog", Argv: argv, By: "alice", Out: io.Discard})
}

func TestRunOnce(t *testing.T) {
	d := newDesk(t)
	release, _ := d.app.Release(1)
	ended := make(chan int)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		status, _ := d.run(ctx, "node", "--token=hunter2")
		ended <- status
	}()
	spec := <-d.specs
	if spec.App != "blog" || spec.Release != 1 || spec.Type != "run" || spec.Index != 1 || spec.Tree != d.app.BuildTree(release.Build) ||
		spec.Data != d.app.Data() || spec.Config["TOKEN"] != "x" || spec.Built.Kind != "node" || strings.Join(spec.Argv, " ") != "node --token=hunter2" {
		t.Errorf("%+v", spec)
	}
	rig.Eventually(t, "it is listed", func() bool { return len(d.rt.onces("blog")) == 1 })
	if p := d.rt.onces("blog")[0]; p.Type != "run" || p.Index != 1 || p.Release != 1 || p.PID != 4711 || p.State != "running" {
		t.Errorf("%+v", p)
	}
	d.goLive(volume.Settings{}) // a deploy meanwhile
	if !d.rt.held("blog", release.Build) || d.rt.held("blog", "other") {
		t.Error("its build is not held")
	}
	leave()
	if status := <-ended; status != 143 {
		t.Errorf("status %d", status)
	}
	if d.rt.held("blog", release.Build) || len(d.rt.onces("blog")) != 0 {
		t.Error("held or listed after its end")
	}
	events, _ := os.ReadFile(filepath.Join(d.app.Volume().Root, "events", "app.jsonl"))
	rig.WantIn(t, "events", string(events), `"by":"alice","did":"run","app":"blog","note":"run.1 node"`)
	if strings.Contains(string(events), "hunter2") {
		t.Errorf("an argument in %s", events)
	}
}

func TestStatusOfOnce(t *testing.T) {
	d := newDesk(t)
	for line, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		if status, err := d.run(t.Context(), "sh", "-c", line); status != want || err != nil {
			t.Errorf("%s: %d, %v", line, status, err)
		}
	}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{&fs.PathError{Op: "stat", Path: "x", Err: syscall.ENOENT}, 127},
		{fmt.Errorf("run: %w", fs.ErrPermission), 126},
		{fmt.Errorf("run: %w", syscall.ENOEXEC), 126},
		{errors.New("no more processes"), 1},
	} {
		d.err = tt.err
		if status, err := d.run(t.Context(), "x"); status != tt.want || err != tt.err {
			t.Errorf("%v: %d, %v", tt.err, status, err)
		}
	}
	if len(d.rt.oneoffs.all) != 0 || len(d.rt.oneoffs.builds) != 0 {
		t.Error("what did not start is counted")
	}
}

func TestNothingToRunIn(t *testing.T) {
	d := newDesk(t)
	refused := func(app, want string) {
		t.Helper()
		status, err := d.rt.RunOnce(t.Context(), Once{App: app, Argv: []string{"x"}, Out: io.Discard})
		if status != 1 || !strings.Contains(rig.Message(err), want) {
			t.Errorf("%s: %d, %v; want %q", app, status, err, want)
		}
	}
	refused("blok", "did you mean blog?")
	if _, err := d.app.Volume().Create("empty"); err != nil {
		t.Fatal(err)
	}
	refused("empty", "nothing of empty is live yet; git push deploys it")
	r, _ := d.app.Release(1)
	if err := d.app.RemoveBuild(r.Build); err != nil {
		t.Fatal(err)
	}
	refused("blog", "the build of v1 is not there; ps:rebuild blog")
	if d.rt.held("blog", r.Build) {
		t.Error("a build is held that is not there")
	}
	d.goLive(volume.Settings{Mode: volume.InPlace})
	refused("blog", "v2 of blog is in watch mode")
}

// An app that is destroyed, and a server that stops, end what runs and say so.
func TestOnceIsStopped(t *testing.T) {
	for want, end := range map[string]func(*desk){
		"the app was destroyed": func(d *desk) {
			if err := d.app.Volume().Destroy(d.app); err != nil {
				t.Error(err)
			}
		},
		"the server is stopping": func(d *desk) { <-d.rt.oneoffs.close() },
	} {
		d := newDesk(t)
		var all sync.WaitGroup
		all.Go(func() {
			if status, err := d.run(t.Context(), "sleep"); status != 1 || rig.Message(err) != want {
				t.Errorf("%d, %v; want %s", status, err, want)
			}
		})
		<-d.specs
		end(d)
		all.Wait()
	}
	d := newDesk(t)
	d.rt.oneoffs.close()
	if _, err := d.run(t.Context(), "x"); err != errStopping {
		t.Error(err)
	}
}

func TestDetach(t *testing.T) {
	d := newDesk(t)
	output := func(n int) string {
		content, _ := os.ReadFile(outputFile(d.app, n))
		return string(content)
	}
	for n := 1; n <= keptOutputs+5; n++ {
		name, _, err := d.rt.Detach(Once{App: "blog", Argv: []string{"echo", "number", fmt.Sprint(n)}, By: "alice"})
		if err != nil || name != fmt.Sprintf("run.%d", n) {
			t.Fatal(name, err)
		}
		rig.Eventually(t, "its end is noted", func() bool {
			return strings.Contains(output(n), fmt.Sprintf("Z number %d\n", n)) && strings.HasSuffix(output(n), "Z\t--- exited with status 0\n")
		})
	}
	if got := outputs(d.app); len(got) != keptOutputs || got[0] != 6 || got[len(got)-1] != keptOutputs+5 {
		t.Errorf("kept: %v", got)
	}
	rt := &Runtime{Volume: d.app.Volume(), Engine: d, Front: d, Log: slog.New(slog.DiscardHandler)} // the server's next life
	if name, _, err := rt.Detach(Once{App: "blog", Argv: []string{"sh", "-c", "kill -KILL $$"}}); err != nil || name != "run.26" {
		t.Error(name, err)
	}
	rig.Eventually(t, "the signal is noted", func() bool { return strings.HasSuffix(output(26), "--- ended by signal 9 (killed), status 137\n") })
	d.err = fs.ErrNotExist
	if _, status, err := d.rt.Detach(Once{App: "blog", Argv: []string{"x"}}); status != 127 || err == nil {
		t.Error(status, err)
	}
}
