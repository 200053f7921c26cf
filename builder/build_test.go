package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"paas/engine/local/child"
	"paas/rig"
	"paas/volume"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildScript returns an app whose npm build script is the given one.
func buildScript(script string) map[string]string {
	return map[string]string{
		"Procfile":     "web: node x",
		"package.json": fmt.Sprintf(`{"scripts": {"build": %q}}`, script),
	}
}

func TestBuildEnvironment(t *testing.T) {
	rig.Need(t, "node", "npm")
	t.Setenv("SECRET", "of the server")
	b := newBuilder(t)
	out := &rig.Screen{}
	cache := t.TempDir()
	_, err := b.Build(t.Context(), Job{App: "blog", Tree: rig.Tree(t, buildScript("env; cat")),
		Cache: cache, Out: out,
		Config: map[string]string{"DATABASE_URL": "db"}})
	if err != nil {
		t.Fatal(err)
	}
	rig.WantIn(t, "build", out.String(), "-----> Building (node)\n       npm run build\n",
		"\n       HOME="+cache+"/home\n",
		"\n       DATABASE_URL=db\n", "\n       NODE_ENV=production\n", "\n       PAAS_RUN=",
		"/npm-run-build.")
	if strings.Contains(out.String(), "SECRET") {
		t.Errorf("the log contains the server's secret:\n%s", out)
	}
}

func TestBuildFails(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	for script, want := range map[string]string{
		"echo why; exit 3": "npm run build: exit status 3",
		"kill -9 $PPID":    "npm run build: signal: killed",
	} {
		_, out, _, err := buildFiles(t, b, t.TempDir(), buildScript(script))
		if rig.Message(err) != want {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	_, _, _, err := buildFiles(t, b, t.TempDir(), map[string]string{"README": ""})
	if !errors.Is(err, errNothing) {
		t.Error(err)
	}
}

// Missing tools are reported before anything runs.
func TestBuildMissingTools(t *testing.T) {
	b := newBuilder(t)
	t.Setenv("PATH", t.TempDir())
	_, out, _, err := buildFiles(t, b, t.TempDir(),
		map[string]string{"Procfile": "web: x", "go.mod": "module x", "requirements.txt": "",
			"package.json": `{"dependencies": {"a": "1"}}`, "Gemfile": "", "composer.json": "{}",
			"pom.xml": "", "Cargo.toml": "", "x.csproj": ""})
	for _, tool := range []string{
		"node", "npm", "go", "python3", "ruby", "bundle", "php", "composer", "java", "javac", "mvn",
		"cargo", "rustc", "dotnet",
	} {
		rig.WantIn(t, "error", rig.Message(err), tool+" is not on this server: install ")
	}
	if out != "" {
		t.Errorf("the build began before it failed: %s", out)
	}
}

// A hanging build ends with its context or after its timeout, even if its children left its session
// and keep its output open.
func TestBuildHangs(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	const escapes = `for i in 1 2 3; do setsid sh -c 'echo gone; trap "" TERM; sleep 1000 & wait; sleep 1000' & done; `
	cache := t.TempDir()
	hang := buildScript(escapes + "trap '' TERM; touch up; sleep 1000; sleep 1000")
	start := func(ctx context.Context) (dir string, done chan error) {
		dir, done = rig.Tree(t, hang), make(chan error, 1)
		go func() {
			_, err := b.Build(ctx, Job{App: "blog", Tree: dir, Cache: cache, Out: io.Discard})
			done <- err
		}()
		return dir, done
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	dir, done := start(ctx)
	rig.Eventually(t, "it hangs", func() bool {
		_,
			err := os.Stat(filepath.Join(dir, "up"))
		return err == nil
	})
	cancel(errors.New("the pusher left"))
	began := time.Now()
	if err := <-done; rig.Message(err) != "npm run build: the pusher left" ||
		time.Since(began) > 5*time.Second {
		t.Errorf("err = %v after %s", err, time.Since(began))
	}
	if left := running(t, "HOME="+cache); len(left) > 0 {
		t.Errorf("processes still running: %v", left)
	}

	b.Timeout = 700 * time.Millisecond
	_, done = start(t.Context())
	if err := <-done; rig.Message(err) != "npm run build: not finished after 700ms; stopped" {
		t.Error(err)
	}
	if left := running(t, "HOME="+cache); len(left) > 0 {
		t.Errorf("processes still running: %v", left)
	}
}

// A build that succeeds leaves no processes behind either.
func TestBuildLeavesNothing(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	cache := t.TempDir()
	mustBuild(t, b, cache, buildScript("setsid sleep 1000 & sleep 1000 & true"))
	if left := running(t, "HOME="+cache); len(left) > 0 {
		t.Errorf("processes still running: %v", left)
	}
}

func TestBuildOutputBounded(t *testing.T) {
	t.Parallel()
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	_, out, _, err := buildFiles(t, b, t.TempDir(),
		buildScript("yes 'a line of a build that says too much' | head -c 100000000; echo; echo "+
			"the end; exit 5"))
	if rig.Message(err) != "npm run build: exit status 5" {
		t.Error(err)
	}
	if len(out) > 2<<20 {
		t.Errorf("the log has %d bytes, want fewer", len(out))
	}
	rig.WantIn(t, "end of output", out[max(0, len(out)-20000):], "MB left out ...\n",
		"\n       the end\n")
}

func TestBuildFullDisk(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	dir := rig.SmallDisk(t)
	rig.Write(t, dir, map[string]string{
		"package.json": `{"scripts": {"build": "head -c 2000000 /dev/zero > big"}}`,
		"Procfile":     "web: x",
	})
	out := &rig.Screen{}
	_, err := b.Build(t.Context(), Job{App: "blog", Tree: dir, Cache: t.TempDir(), Out: out})
	if !errors.Is(err, errNoSpace) || !strings.HasPrefix(rig.Message(err),
		"npm run build: exit status 1: no space left on device; free some") {
		t.Errorf("err = %v; log:\n%s", err, out)
	}
	if err := clone(t.Context(), rig.Tree(t, map[string]string{"a/b": strings.Repeat("x", 2<<20)}),
		filepath.Join(dir, "copy"), true); !errors.Is(explainSpace(err), errNoSpace) {
		t.Error(err)
	}
}

func TestBuildStatic(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	built, _, _ := mustBuild(t, b, t.TempDir(), map[string]string{"public/index.html": ""})
	if built.Kind != "static" || built.Static != "public" || len(built.Processes) != 0 {
		t.Errorf("built %+v", built)
	}
	built, _, _ = mustBuild(t, b, t.TempDir(), map[string]string{"index.html": "source",
		"package.json": `{"scripts": {"build": "mkdir dist; echo made > dist/index.html"}}`})
	if built.Static != "dist" {
		t.Errorf("built %+v", built)
	}
	_, _, _, err := buildFiles(t, b, t.TempDir(), map[string]string{
		"package.json": `{"scripts": {"build": "true"}}`,
	})
	rig.WantIn(t, "no site", rig.Message(err), "npm run build left no index.html")
}

// A .env in the repository is reported and not loaded.
func TestBuildDotEnv(t *testing.T) {
	rig.Need(t, "node", "npm")
	files := buildScript("env")
	files[".env"] = "LEAK=of-the-repository\n"
	_, out, _ := mustBuild(t, newBuilder(t), t.TempDir(), files)
	rig.WantIn(t, "build", out,
		"       not loading .env from the repository; set config vars instead\n")
	if strings.Contains(out, "LEAK") {
		t.Errorf(".env was loaded; log:\n%s", out)
	}
}

// A build that uses more than its memory is killed, and the error has the figures.
func TestBuildMemory(t *testing.T) {
	if !child.CapsMemory {
		t.Skip("SKIP: this system does not report the memory of processes")
	}
	rig.Need(t, "npm")
	b := newBuilder(t)
	b.Memory = 200 << 20
	_, out, _, err := buildFiles(t, b, t.TempDir(), map[string]string{
		"package.json": `{"private": true, "scripts": {"start": "x", "build": "node eat.js"}}`,
		"eat.js":       `const held = []; setInterval(() => held.push(Buffer.alloc(5e6, 1)), 20)`,
	})
	rig.WantIn(t, "error", rig.Message(err), "npm run build: used ",
		"MiB of memory; a build may use 200 MiB")
	if what := volume.RemedyOf(err).Do; what != volume.RaiseBuildMemory {
		t.Errorf("what to do: %q", what)
	}
	rig.WantIn(t, "output", out, "npm run build")
}
