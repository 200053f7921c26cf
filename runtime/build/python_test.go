package build

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paas/runtime/rig"
)

// wheel is a Python package that installs without a network.
func wheel(t *testing.T) string {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for name, content := range map[string]string{
		"greet.py":                     "def hello(): return 'hello'\n",
		"greet-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
		"greet-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"greet-1.0.dist-info/RECORD":   "greet.py,,\ngreet-1.0.dist-info/METADATA,,\ngreet-1.0.dist-info/WHEEL,,\ngreet-1.0.dist-info/RECORD,,\n",
	} {
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
	later := &build{job: Job{Cache: cache}}
	os.RemoveAll(dir)
	if err := later.pruneVenvs(); err != nil || !isFolder(built.Env["VIRTUAL_ENV"]) {
		t.Errorf("%v; or it is gone too early", err)
	}
	os.RemoveAll(second)
	if err := later.pruneVenvs(); err != nil || isFolder(built.Env["VIRTUAL_ENV"]) {
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
