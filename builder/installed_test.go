package builder

import (
	"os"
	"path/filepath"
	"testing"

	"paas/rig"
)

// makeProgram makes an executable script.
func makeProgram(t *testing.T, path, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// fakePython is a Python that makes virtual environments of itself.
func fakePython(version string) string {
	return `case "$1 $2" in "--version ") echo Python ` + version + ` ;;
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;; esac`
}

// Of several Pythons on this server, the build takes the one that the repository asks for.
func TestSeveralPythons(t *testing.T) {
	bin := t.TempDir()
	makeProgram(t, bin+"/python3", fakePython("3.90.2"))
	makeProgram(t, bin+"/python3.90", fakePython("3.90.2"))
	makeProgram(t, bin+"/python3.91", fakePython("3.91.7"))
	makeProgram(t, bin+"/python3.92", "echo it is not installed; exit 1")
	makeProgram(t, bin+"/shims/python3.92", "echo no version is selected; exit 1")
	makeProgram(t, bin+"/versions/3.92.1/bin/python3", fakePython("3.92.1"))
	makeProgram(t, bin+"/versions/3.92.10/bin/python3", fakePython("3.92.10"))
	t.Setenv("PATH", bin+":"+bin+"/shims:/usr/bin:/bin")
	makeProgram(t, bin+"/uv", `[ "$1 $2 $3" = "python find 3.94" ] && echo `+bin+`/managed`)
	makeProgram(t, bin+"/managed", fakePython("3.94.0"))
	b := newBuilder(t)
	for asks, want := range map[string]string{
		"3.90": "", "3.91": bin + "/python3.91 (Python 3.91.7)", "3.91.2": bin + "/python3.91 (Python 3.91.7)",
		"3.92":   bin + "/versions/3.92.10/bin/python3 (Python 3.92.10)",
		"3.92.1": bin + "/versions/3.92.1/bin/python3 (Python 3.92.1)",
		"3.94":   bin + "/managed (Python 3.94.0)",
	} {
		built, out, _ := mustBuild(t, b, t.TempDir(), map[string]string{
			".python-version": asks, "requirements.txt": "", "app.py": "",
		})
		if want == "" {
			want = "Building (python)"
		} else {
			want = "       using " + want + ": .python-version asks for " + asks + ", this server has 3.90.2\n"
		}
		rig.WantIn(t, asks, out, want)
		if built.Env["VIRTUAL_ENV"] == "" {
			t.Errorf("%s: no environment", asks)
		}
	}
	_, _, _, err := buildFiles(t, b, t.TempDir(), map[string]string{
		".python-version": "3.93", "requirements.txt": "", "app.py": "",
	})
	rig.WantIn(t, "error", rig.Message(err), ".python-version asks for python3 3.93, but this server has 3.90.2: "+
		"install Python 3 (the packages python3 and python3-venv, or uv python install) in that version, or change .python-version")
}

// A Ruby that a version manager has installed runs the app, with its Bundler.
func TestSeveralRubies(t *testing.T) {
	dir := t.TempDir()
	makeProgram(t, dir+"/shims/ruby", "echo ruby 3.1.2p20")
	makeProgram(t, dir+"/shims/bundle", "echo Bundler version 2.3.0")
	makeProgram(t, dir+"/installs/ruby/3.3.5/bin/ruby", "echo ruby 3.3.5p100")
	t.Setenv("PATH", dir+"/shims:/usr/bin:/bin")
	files := map[string]string{".ruby-version": "3.3.1", "app.rb": ""}
	built, out, _ := mustBuild(t, newBuilder(t), t.TempDir(), files)
	rig.WantIn(t, "build", out, "       using "+dir+"/installs/ruby/3.3.5/bin/ruby (ruby 3.3.5p100): "+
		".ruby-version asks for 3.3.1, this server has 3.1.2\n")
	if got := built.Env["PATH"]; got != dir+"/installs/ruby/3.3.5/bin" {
		t.Errorf("PATH %q", got)
	}
}

// Go downloads the version that go.mod asks for, if the server may fetch toolchains.
func TestGoFetchesItself(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	b := newBuilder(t)
	for _, c := range []struct{ server, mod, want, line string }{
		{"1.26.8", "go 1.26", "local", ""},
		{"1.26.8", "go 1.27", "go1.27.0+auto", "       go 1.27.0: go.mod asks for 1.27 or newer, this server has 1.26.8; it fetches that itself\n"},
		{"1.26.8", "go 1.27.1\n\ntoolchain go1.27.4", "go1.27.4+auto",
			"go.mod asks for 1.27.1 or newer, toolchain in go.mod asks for 1.27.4, this server has 1.26.8"},
		{"1.26.8", "go 1.21\n\ntoolchain go1.27.4", "go1.27.4+auto", "toolchain in go.mod asks for 1.27.4"},
	} {
		makeProgram(t, bin+"/go", `[ "$1" = version ] && echo go version go`+c.server+` linux/amd64 && exit
printf %s "$GOTOOLCHAIN" >used`)
		dir, out := rig.Tree(t, map[string]string{"Procfile": "web: x", "go.mod": "module x\n\n" + c.mod + "\n"}), &rig.Screen{}
		job := Job{App: "blog", Tree: dir, Cache: t.TempDir(), Out: out, Toolchains: noToolchains{}}
		if _, err := b.Build(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if used, err := os.ReadFile(dir + "/used"); string(used) != c.want || err != nil {
			t.Errorf("%s: GOTOOLCHAIN is %s, %v; want %s", c.mod, used, err, c.want)
		}
		rig.WantIn(t, c.mod, out.String(), c.line)
	}
	makeProgram(t, bin+"/go", "echo go version go1.20.1 linux/amd64")
	dir := rig.Tree(t, map[string]string{"Procfile": "web: x", "go.mod": "module x\n\ngo 1.27.1\n"})
	_, err := b.Build(t.Context(), Job{App: "blog", Tree: dir, Cache: t.TempDir(), Out: &rig.Screen{}, Toolchains: noToolchains{}})
	rig.WantIn(t, "a Go that downloads nothing", rig.Message(err), "go.mod asks for go 1.27.1 or newer, but this server has 1.20.1: install Go")
}

// noToolchains are those of a server that may fetch some, where none should be.
type noToolchains struct{ Toolchains }
