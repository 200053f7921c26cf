package builder

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"

	"paas/rig"
)

// wheel returns a Python package that installs without a network.
func wheel(t *testing.T) string {
	t.Helper()
	return zipped(t, map[string]string{
		"greet.py":                     "def hello(): return 'hello'\n",
		"greet-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
		"greet-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"greet-1.0.dist-info/RECORD": "greet.py,,\ngreet-1.0.dist-info/METADATA,,\ngreet-1.0.dist-info/WHEEL,,\n" +
			"greet-1.0.dist-info/RECORD,,\n",
	})
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
	files := map[string]string{"requirements.txt": "-r more.txt\n",
		"more.txt": "--no-index\n--find-links " + links + "\ngreet==1.0\n",
		"app.py":   "import greet\nprint(greet.hello())"}
	built, out, dir := mustBuild(t, b, cache, files)
	rig.WantIn(t, "build", out, "-----> Building (python)\n       python3 -m venv\n",
		"       pip install\n")
	if got := printed(t, b, dir, built, built.Processes["web"]); got != "hello\n" {
		t.Errorf("printed %q", got)
	}
	began := time.Now()
	built, out, second := mustBuild(t, b, cache, files)
	t.Logf("Python build, nothing changed: %s", time.Since(began))
	rig.WantIn(t, "second build", out, "packages of an earlier build")
	if got := printed(t, b, second, built, "python app.py"); got != "hello\n" {
		t.Errorf("printed %q", got)
	}

	// the environment stays while a build uses it, and goes after the last one
	os.RemoveAll(dir)
	if err := Sweep(cache); err != nil || !isFolder(built.Env["VIRTUAL_ENV"]) {
		t.Errorf("err = %v; or the environment is gone too early", err)
	}
	os.RemoveAll(second)
	if err := Sweep(cache); err != nil || isFolder(built.Env["VIRTUAL_ENV"]) {
		t.Errorf("err = %v; or the environment is still there", err)
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
			t.Errorf("requirements(%q) = %q, %v", text, files, local)
		}
	}
}

// The lock file selects the tool; the environment is cached under its hash.
func TestPythonPackagers(t *testing.T) {
	rig.Need(t, "python3")
	if err := exec.Command("python3", "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skipf("SKIP: python3 with venv: %v", err)
	}
	for name, project := range map[string]string{
		"uv": "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.8\"\n",
		"poetry": "[tool.poetry]\nname = \"shop\"\nversion = \"1\"\ndescription = \"\"\nauthors = []\n" +
			"\n[tool.poetry.dependencies]\npython = \"*\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			rig.Need(t, name)
			b, cache := newBuilder(t), t.TempDir()
			files := map[string]string{
				"app.py":           "print('hello')",
				"requirements.txt": "nonsense",
				"pyproject.toml":   project,
			}
			files[name+".lock"] = lockFile(t, files, nil, name+".lock", []string{name, "lock"})
			for _, want := range []string{
				name + " ", "packages of an earlier build (" + name + ".lock has not changed)",
			} {
				built, out, dir := mustBuild(t, b, cache, files)
				rig.WantIn(t, "build", out,
					"ignoring requirements.txt: "+name+".lock takes precedence", want)
				if got := printed(t, b, dir, built, built.Processes["web"]); got != "hello\n" {
					t.Errorf("printed %q", got)
				}
			}
		})
	}
}

// uv uses the given environment and the server's Python.
func TestPythonUv(t *testing.T) {
	if err := exec.Command("python3", "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skipf("SKIP: python3 with venv: %v", err)
	}
	dir := rig.Tree(t, map[string]string{"bin/uv": `#!/bin/sh
case $1 in
--version) echo uv 0.9.1 ;;
*) echo "$*, downloads $UV_PYTHON_DOWNLOADS"; cd $UV_PROJECT_ENVIRONMENT/lib/python*/site-packages && echo "print('from uv')" > greet.py ;;
esac
`})
	t.Setenv("PATH", dir+"/bin:"+os.Getenv("PATH"))
	b, cache := newBuilder(t), t.TempDir()
	files := map[string]string{
		"uv.lock":        "version = 1\n",
		"pyproject.toml": "",
		"app.py":         "import greet",
	}
	for _, want := range []string{
		"       uv sync\n       sync --frozen --no-dev --no-editable --no-progress, downloads " +
			"never\n",
		"packages of an earlier build (uv.lock has not changed)",
	} {
		built, out, dir := mustBuild(t, b, cache, files)
		rig.WantIn(t, "build", out, want)
		if got := printed(t, b, dir, built, built.Processes["web"]); got != "from uv\n" {
			t.Errorf("printed %q", got)
		}
	}
	files["uv.lock"] += "[[package]]\nname = \"lib\"\nsource = { directory = \"lib\" }\n"
	for range 2 { // what is in a folder of the tree may change without the lock file
		_, out, _ := mustBuild(t, b, cache, files)
		rig.WantIn(t, "build", out, "uv sync")
	}
}

func TestPythonVersion(t *testing.T) {
	bin := fakeTools(t, map[string]string{"python3": "Python 3.11.7"})
	t.Setenv("PATH", bin)
	b := newBuilder(t)
	for want, files := range map[string]map[string]string{
		".python-version asks for python3 3.12, but this server has 3.11.7: install Python 3 " +
			"(the packages": {".python-version": "3.12\n"},
		"runtime.txt asks for python3 3.12.1, but this server has 3.11.7": {"runtime.txt": "python-3.12.1"},
		`.python-version: "pypy3.9-7.3" is not a version; write numbers`:  {".python-version": "pypy3.9-7.3"},
		"uv is not on this server: install uv (https://docs.astral.sh/uv)": {"uv.lock": "",
			"pyproject.toml": ""},
		"poetry is not on this server: install Poetry": {"poetry.lock": "",
			"pyproject.toml": ""},
	} {
		files["requirements.txt"], files["app.py"] = "", ""
		_, out, _, err := buildFiles(t, b, t.TempDir(), files)
		rig.WantIn(t, "error", rig.Message(err), want)
		if out != "" {
			t.Errorf("the build began before it failed: %s", out)
		}
	}
}

func FuzzAtLeast(f *testing.F) {
	for _, seed := range []string{"3.12", "3.12.1", "v3", "3.12\n3.11\n", "system", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := atLeast("runtime.txt", text, 2); err == nil {
			r.fits(semver.MustParse("3.11.7"))
		}
	})
}
