package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/rig"
	"paas/volume"
)

// oneOffStage is a runtime with one app and a live release. Its engine only plays the commands
// echo, exit and kill.
type oneOffStage struct {
	*stage
	rt   *Runtime
	jobs chan engine.Job
	err  error // error of each start
}

func (d *oneOffStage) begins(p *enginetest.Process) error {
	if d.err != nil {
		return d.err
	}
	d.jobs <- p.Job
	word, rest, _ := strings.Cut(strings.Join(p.Argv, " "), " ")
	var exit engine.Exit
	switch word {
	case "echo":
		fmt.Fprintln(p.Out, rest)
		p.End(exit)
	case "exit":
		fmt.Sscan(rest, &exit.Code)
		p.End(exit)
	case "kill":
		fmt.Sscan(rest, &exit.Signal)
		p.End(exit)
	}
	return nil
}

func newOneOffStage(t *testing.T) *oneOffStage {
	d := &oneOffStage{stage: newStage(t), jobs: make(chan engine.Job, 100)}
	d.engine.Begin = d.begins
	d.rt = d.runtime()
	d.goLive(volume.Settings{Config: map[string]string{"TOKEN": "x"}})
	return d
}

// goLive makes a release live, as a deploy does.
func (d *oneOffStage) goLive(s volume.Settings) volume.Release {
	d.t.Helper()
	dir, err := d.app.Volume().TempDir()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tree"), 0o755); err != nil {
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

func (d *oneOffStage) run(ctx context.Context, argv ...string) (int, error) {
	return d.rt.RunOnce(ctx, Once{App: "blog", Argv: argv, By: "alice", Out: io.Discard})
}

func TestRunOnce(t *testing.T) {
	d := newOneOffStage(t)
	release, _ := d.app.Release(1)
	ended := make(chan int)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		status, _ := d.run(ctx, "node", "--token=hunter2")
		ended <- status
	}()
	job := <-d.jobs
	if job.App != "blog" || job.Release != 1 || job.Type != "run" || job.Index != 1 {
		t.Errorf("%+v", job)
	}
	if want := (engine.Image{App: "blog", Build: release.Build}); !reflect.DeepEqual(job.Image, want) {
		t.Errorf("%+v", job.Image)
	}
	if job.Env["TOKEN"] != "x" || job.Env["NODE_ENV"] != "production" || job.Env["DATA_DIR"] != engine.Data {
		t.Errorf("%q", job.Env)
	}
	if !slices.Equal(job.Argv, []string{"node", "--token=hunter2"}) {
		t.Errorf("%q", job.Argv)
	}
	rig.Eventually(t, "it is listed", func() bool { return len(d.rt.oneOffsOf("blog")) == 1 })
	if p := d.rt.oneOffsOf("blog")[0]; p.Type != "run" || p.Index != 1 || p.Release != 1 || p.PID == 0 || p.State != "running" {
		t.Errorf("%+v", p)
	}
	d.goLive(volume.Settings{}) // a deploy meanwhile
	if !d.rt.held("blog", release.Build) {
		t.Error("its build is not held")
	}
	if d.rt.held("blog", "other") {
		t.Error("another build is held")
	}
	leave()
	if status := <-ended; status != 143 {
		t.Errorf("status %d", status)
	}
	if d.rt.held("blog", release.Build) {
		t.Error("its build is held after its end")
	}
	if len(d.rt.oneOffsOf("blog")) != 0 {
		t.Error("it is listed after its end")
	}
}

func TestStatusOfOnce(t *testing.T) {
	d := newOneOffStage(t)
	for line, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill 15": 143, "kill 9": 137} {
		if status, err := d.run(t.Context(), strings.Fields(line)...); status != want || err != nil {
			t.Errorf("%s: %d, %v", line, status, err)
		}
	}
	for _, want := range []int{127, 126, 1} {
		d.err = engine.StartError{Status: want, Reason: "not started"}
		if status, err := d.run(t.Context(), "x"); status != want || err != d.err {
			t.Errorf("%d, %v", status, err)
		}
	}
	if len(d.rt.oneoffs.all) != 0 {
		t.Error("what did not start is counted")
	}
	if len(d.rt.oneoffs.builds) != 0 {
		t.Error("the build of what did not start is held")
	}
}

func TestNothingToRunIn(t *testing.T) {
	d := newOneOffStage(t)
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
	refused("blog", "the build of v1 is not there")
	if d.rt.held("blog", r.Build) {
		t.Error("a build is held that is not there")
	}
	d.goLive(volume.Settings{Mode: volume.OnlyFiles})
	refused("blog", "v2 of blog is in mode worktree")
}

// If the app is destroyed or the server stops, the command ends and its error says why.
func TestOnceIsStopped(t *testing.T) {
	for want, end := range map[string]func(*oneOffStage){
		"the app was destroyed": func(d *oneOffStage) {
			if err := d.app.Volume().Destroy(d.app); err != nil {
				t.Error(err)
			}
		},
		"the server is stopping": func(d *oneOffStage) { <-d.rt.oneoffs.close() },
	} {
		d := newOneOffStage(t)
		var all sync.WaitGroup
		all.Go(func() {
			if status, err := d.run(t.Context(), "sleep"); status != 1 || rig.Message(err) != want {
				t.Errorf("%d, %v; want %s", status, err, want)
			}
		})
		<-d.jobs
		end(d)
		all.Wait()
	}
	d := newOneOffStage(t)
	d.rt.oneoffs.close()
	if _, err := d.run(t.Context(), "x"); err != errStopping {
		t.Error(err)
	}
}

func TestDetach(t *testing.T) {
	d := newOneOffStage(t)
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
	rt := d.runtime() // the server starts again
	if name, _, err := rt.Detach(Once{App: "blog", Argv: []string{"kill", "9"}}); err != nil || name != "run.26" {
		t.Error(name, err)
	}
	rig.Eventually(t, "the signal is noted", func() bool { return strings.HasSuffix(output(26), "--- ended by signal 9 (killed), status 137\n") })
	d.err = engine.StartError{Status: 127}
	if _, status, err := d.rt.Detach(Once{App: "blog", Argv: []string{"x"}}); status != 127 || err == nil {
		t.Error(status, err)
	}
}
