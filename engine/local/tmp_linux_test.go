package local

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/engine"
	"paas/engine/local/confine"
	"paas/rig"
	"paas/volume"
)

// landlocked returns an engine whose apps have no /tmp of their own.
func landlocked(t *testing.T) *Local {
	t.Helper()
	all := confine.Probe(t.TempDir(), rig.Self()...)
	if all.Landlock == 0 || os.Getuid() == 0 {
		t.Skip("SKIP: it takes Landlock, and an ordinary user (TestNotRoot)")
	}
	l := &Local{Root: t.TempDir(), Self: rig.Self(), Layout: layout, probe: found(confine.Isolation{Landlock: all.Landlock, Seccomp: all.Seccomp})}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A build that writes to /tmp works if each process has its own /tmp. Otherwise one line says what
// the server's owner can do.
func TestBuildNamesTmp(t *testing.T) {
	rig.Need(t, "node", "npm")
	build := func(l *Local) error {
		app := t.TempDir()
		tree := filepath.Join(app, "tree")
		rig.Write(t, app, map[string]string{
			"tree/package.json": `{"private": true, "scripts": {"build": "node build.js", "start": "node x"}}`,
			"tree/build.js":     `require("fs").writeFileSync("/tmp/compiler.lock", "x")`, "cache/x": "",
		})
		_, err := l.Build(t.Context(), engine.BuildJob{Image: engine.Image{App: "blog", Build: tree}, Out: io.Discard})
		return err
	}
	if err := build(newLocal(t)); err != nil {
		t.Errorf("with a /tmp of its own: %v", err)
	}
	err := build(landlocked(t))
	rig.WantIn(t, "error", rig.Message(err),
		"/tmp/compiler.lock: apps of this server cannot write to /tmp, only to $TMPDIR")
	if what := volume.RemedyOf(err).Do; what != volume.OpenFolder {
		t.Errorf("what to do: %q", what)
	}
}

// Only .NET apps can write to .NET's folders in /tmp, and to nothing else there.
func TestDotnetTmp(t *testing.T) {
	l := landlocked(t)
	for file, want := range map[string]string{
		"app.csproj": "wrote\n", "app.cs": "wrote\n", "package.json": "",
	} {
		tree := rig.Tree(t, map[string]string{file: "#:sdk Microsoft.NET.Sdk.Web\n"})
		out := printed(t, l, spec{tree: tree}, `sh -c "mkdir -p /tmp/.dotnet/shm && echo x >/tmp/.dotnet/paas-test && echo wrote; rm -f /tmp/.dotnet/paas-test; echo x >/tmp/paas-test"`)
		if !strings.HasPrefix(out, want) || strings.Contains(out, "wrote") != (want != "") || !strings.Contains(strings.ToLower(out), "permission denied") {
			t.Errorf("%s: %q", file, out)
		}
	}
}

func TestDeniedTmp(t *testing.T) {
	for line, want := range map[string]string{
		"Error: EACCES: permission denied, open '/tmp/x.lock'":            "/tmp/x.lock",
		"touch: cannot touch '/tmp/a/b': Permission denied":               "/tmp/a/b",
		"open(\"/tmp/.dotnet/shm\") == -1; errno == EACCES;":              "/tmp/.dotnet/shm",
		"System.UnauthorizedAccessException: Access to the path '/tmp/m'": "/tmp/m",
		"wrote /tmp/x": "",
		"cp: cannot open '/srv/tmp': Permission denied": "",
	} {
		d := &deniedTmp{Writer: io.Discard}
		for _, part := range []string{line[:3], line[3:], "\nnext"} {
			io.WriteString(d, part)
		}
		if d.path != want {
			t.Errorf("%s: %q", line, d.path)
		}
	}
}
