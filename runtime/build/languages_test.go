package build

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/runtime/rig"
	"paas/volume"
)

const mainGo = "package main\n\nfunc main() { println(\"compiled\") }\n"

func TestBuildGo(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	b := newBuilder(t)
	cache := t.TempDir()
	if goCache, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil { // else the standard library is compiled each time
		there := strings.TrimSpace(string(goCache))
		for _, dir := range []string{there, filepath.Join(cache, "go")} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(there, filepath.Join(cache, "go", "build")); err != nil {
			t.Fatal(err)
		}
	}
	mod := "module example.com/shop\n\ngo 1.21\n"
	run := func(dir string, built volume.Built, name string) string {
		return printed(t, b, dir, built, name)
	}
	for name, files := range map[string]map[string]string{
		"at the top":      {"go.mod": mod, "main.go": mainGo, "cmd/other/main.go": mainGo},
		"one in a folder": {"go.mod": mod, "lib.go": "package shop\n", "cmd/shop/main.go": mainGo},
	} {
		built, out, dir := mustBuild(t, b, cache, files)
		if got := run(dir, built, built.Processes["web"]); built.Kind != "go" || got != "compiled\n" {
			t.Errorf("%s: %+v, %q\n%s", name, built, got, out)
		}
	}
	began := time.Now()
	built, _, dir := mustBuild(t, b, cache, map[string]string{"go.mod": mod, "main.go": mainGo,
		"cmd/b/main.go": mainGo, "Procfile": "web: shop\nworker: b"})
	t.Logf("Go build, all compiled before: %s", time.Since(began))
	if got := run(dir, built, "shop && b"); got != "compiled\ncompiled\n" {
		t.Errorf("%q", got)
	}
	for want, files := range map[string]map[string]string{
		"no main package to run":  {"go.mod": mod, "lib.go": "package shop\n"},
		"2 main packages":         {"go.mod": mod, "a/main.go": mainGo, "b/main.go": mainGo},
		"go build: exit status 1": {"go.mod": mod, "main.go": mainGo + "!"},
		"go list: exit status 1":  {"go.mod": "nonsense"},
	} {
		_, out, _, err := buildFiles(t, b, cache, files)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q\n%s", err, want, out)
		}
	}

	// A link in the commit does not lead the compiler out of the tree.
	outside := t.TempDir()
	dir = rig.Tree(t, map[string]string{"go.mod": mod, "main.go": mainGo})
	if err := os.Symlink(outside, filepath.Join(dir, ".paas")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Build(t.Context(), Job{App: "blog", Tree: dir, Cache: cache, Out: &rig.Screen{}}); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("written outside: %v", entries)
	}
}

// wheel is a Python package that installs without a network.
func wheel(t *testing.T) string {
	t.Helper()
	return zipped(t, map[string]string{
		"greet.py":                     "def hello(): return 'hello'\n",
		"greet-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
		"greet-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"greet-1.0.dist-info/RECORD":   "greet.py,,\ngreet-1.0.dist-info/METADATA,,\ngreet-1.0.dist-info/WHEEL,,\ngreet-1.0.dist-info/RECORD,,\n",
	})
}

// zipped is an archive of files, by path.
func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(content))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

func TestBuildPython(t *testing.T) {
	t.Parallel()
	if err := exec.Command("python3", "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skipf("NOT TESTED: python3 with venv: %v", err)
	}
	b := newBuilder(t)
	cache := t.TempDir()
	links := t.TempDir()
	rig.Write(t, links, map[string]string{"greet-1.0-py3-none-any.whl": wheel(t)})
	files := map[string]string{"requirements.txt": "-r more.txt\n", "more.txt": "--no-index\n--find-links " + links + "\ngreet==1.0\n",
		"app.py": "import greet\nprint(greet.hello())"}
	built, out, dir := mustBuild(t, b, cache, files)
	rig.WantIn(t, "build", out, "-----> Building (python)\n       python3 -m venv\n", "       pip install\n")
	if got := printed(t, b, dir, built, built.Processes["web"]); got != "hello\n" {
		t.Errorf("%q", got)
	}
	began := time.Now()
	built, out, second := mustBuild(t, b, cache, files)
	t.Logf("Python build, nothing changed: %s", time.Since(began))
	rig.WantIn(t, "second build", out, "packages of an earlier build")
	if got := printed(t, b, second, built, "python app.py"); got != "hello\n" {
		t.Errorf("%q", got)
	}

	// The environment stays while a build uses it, and goes after the last.
	venvs := filepath.Join(cache, "venv")
	os.RemoveAll(dir)
	if err := pruneShared(venvs); err != nil || !isFolder(built.Env["VIRTUAL_ENV"]) {
		t.Errorf("%v; or it is gone too early", err)
	}
	os.RemoveAll(second)
	if err := pruneShared(venvs); err != nil || isFolder(built.Env["VIRTUAL_ENV"]) {
		t.Errorf("%v; or it stays", err)
	}
}

func TestRequirements(t *testing.T) {
	for text, want := range map[string]struct {
		files string
		local bool
	}{
		"flask==3.0\n# -r no.txt\n":                        {"", false},
		"-r a.txt\n-rb.txt\n--requirement=c.txt\n-c d.txt": {"a.txt b.txt c.txt d.txt", false},
		"-e .":               {"", true},
		"./lib":              {"", true},
		"x @ file:///tmp/x":  {"", true},
		"--constraint d.txt": {"d.txt", false},
	} {
		files, local := requirements([]byte(text))
		if strings.Join(files, " ") != want.files || local != want.local {
			t.Errorf("%q: %q, %v", text, files, local)
		}
	}
}
