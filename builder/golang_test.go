package builder

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"

	"paas/rig"
	"paas/volume"
)

const mainGo = "package main\n\nfunc main() { println(\"compiled\") }\n"

func TestBuildGo(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	b := newBuilder(t)
	cache := t.TempDir()
	keepGoCache(t, cache)
	mod := "module example.com/shop\n\ngo 1.21\n"
	run := func(dir string, built volume.Built, name string) string {
		return printed(t, b, dir, built, name)
	}
	for name, files := range map[string]map[string]string{
		"at the top": {"go.mod": mod, "main.go": mainGo, "cmd/other/main.go": mainGo},
		"plain": {
			"main.go":      mainGo,
			"other.go":     "package main\n\ntype list[T any] []T\n",
			"main_test.go": "package main\n",
		},
		"one in a folder": {"go.mod": mod, "lib.go": "package shop\n", "cmd/shop/main.go": mainGo},
	} {
		built, out, dir := mustBuild(t, b, cache, files)
		if got := run(dir, built, built.Processes["web"]); built.Kind != "go" ||
			got != "compiled\n" {
			t.Errorf("%s: built %+v, printed %q; log:\n%s", name, built, got, out)
		}
	}
	began := time.Now()
	built, _, dir := mustBuild(t, b, cache, map[string]string{"go.mod": mod, "main.go": mainGo,
		"cmd/b/main.go": mainGo, "Procfile": "web: shop\nworker: b"})
	t.Logf("Go build, all compiled before: %s", time.Since(began))
	if got := run(dir, built, "shop && b"); got != "compiled\ncompiled\n" {
		t.Errorf("printed %q", got)
	}
	for want, files := range map[string]map[string]string{
		"but no main package":     {"go.mod": mod, "lib.go": "package shop\n"},
		"2 main packages":         {"go.mod": mod, "a/main.go": mainGo, "b/main.go": mainGo},
		"go build: exit status 1": {"go.mod": mod, "main.go": mainGo + "!"},
		"go list: exit status 1":  {"go.mod": "nonsense"},
		"go.mod asks for go 1.999 or newer, but this server has 1.": {
			"go.mod":  "module x\n\ngo 1.999\n",
			"main.go": mainGo,
		},
	} {
		_, out, _, err := buildFiles(t, b, cache, files)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q; log:\n%s", err, want, out)
		}
	}

	// A link in the commit does not lead the compiler out of the tree.
	outside := t.TempDir()
	dir = rig.Tree(t, map[string]string{"go.mod": mod, "main.go": mainGo})
	if err := os.Symlink(outside, filepath.Join(dir, ".paas")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Build(t.Context(), Job{
		App:   "blog",
		Tree:  dir,
		Cache: cache,
		Out:   &rig.Screen{},
	}); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("the build wrote outside the tree: %v", entries)
	}
}

// keepGoCache makes the builds use a cache that has the standard library.
func keepGoCache(t *testing.T, cache string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(cache, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	filled, err := rig.GoCache()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filled, filepath.Join(cache, "go", "build")); err != nil {
		t.Fatal(err)
	}
}

// A newer toolchain is only a suggestion: it is reported and not downloaded.
func TestGoToolchain(t *testing.T) {
	rig.Need(t, "go")
	b, cache := newBuilder(t), t.TempDir()
	keepGoCache(t, cache)
	_, out, _ := mustBuild(t, b, cache, map[string]string{
		"go.mod":  "module x\n\ngo 1.21\n\ntoolchain go1.999.1\n",
		"main.go": mainGo,
	})
	rig.WantIn(t, "build", out,
		"-----> Building (go)\n       toolchain in go.mod asks for go 1.999.1, but this server "+
			"has 1.", "go build")
}

// Without a go.mod, the build writes one if the app needs only the standard library.
func TestGoPlain(t *testing.T) {
	rig.Need(t, "go")
	b, cache := newBuilder(t), t.TempDir()
	keepGoCache(t, cache)
	_, out, _ := mustBuild(t, b, cache, map[string]string{"main.go": mainGo})
	rig.WantIn(t, "build", out, "no go.mod: this build uses the standard library only")
	_, out, _, err := buildFiles(t, b, cache, map[string]string{
		"main.go": "package main\n\nimport _ \"example.com/x\"\n\nfunc main() {}\n",
	})
	rig.WantIn(t, "a dependency", rig.Message(err)+out, "go build: exit status 1", "example.com/x")

	// An app of another language may have scripts in Go.
	built, out, _ := mustBuild(t, b, cache, map[string]string{
		"gen.go":       mainGo,
		"server.js":    "",
		"package.json": "{}",
	})
	if built.Kind != "node" || out != "" {
		t.Errorf("built %+v; log:\n%s", built, out)
	}

	// A folder of a module is part of it.
	top := rig.Tree(t, map[string]string{"go.mod": "module example.com/all\n\ngo 1.21\n",
		"lib/lib.go":             "package lib\n\nconst Name = \"all\"\n",
		"services/api/main.go":   "package main\n\nimport \"example.com/all/lib\"\n\nfunc main() { println(lib.Name) }\n",
		"services/api/x/main.go": mainGo, "cmd/other/main.go": mainGo})
	dir, screen := filepath.Join(top, "services/api"), &rig.Screen{}
	built, err = b.Build(t.Context(), Job{
		App:   "blog",
		Tree:  dir,
		Top:   top,
		Cache: cache,
		Out:   screen,
	})
	if err != nil {
		t.Fatalf("err = %v; log:\n%s", err, screen)
	}
	if got := printed(t, b, dir, built, built.Processes["web"]); got != "all\n" {
		t.Errorf("printed %q; log:\n%s", got, screen)
	}
}

func FuzzGoMod(f *testing.F) {
	for _, seed := range []string{
		"module x\n\ngo 1.21\n", "go 1.99rc1\ntoolchain go1.22.3\n", "toolchain default\n", "go (",
		"go 1.99999999999999999999\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		for _, w := range goRequirements([]byte(content)) {
			w.fits(semver.MustParse("1.26.8"))
		}
	})
}

// The Procfile decides which programs must compile and may share no name. bin/NAME and ./NAME run
// what go built.
func TestGoPrograms(t *testing.T) {
	rig.Need(t, "go")
	b, cache := newBuilder(t), t.TempDir()
	keepGoCache(t, cache)
	says := func(text string) string { return strings.Replace(mainGo, "compiled", text, 1) }
	mod := "module example.com/shop\n\ngo 1.21\n"
	app := func(procfile string, extra ...string) map[string]string {
		files := map[string]string{
			"go.mod": mod, "Procfile": procfile, "cmd/shop/main.go": mainGo,
			"tools/env/main.go": says("not the command"),
		}
		for i := 0; i < len(extra); i += 2 {
			files[extra[i]] = extra[i+1]
		}
		return files
	}
	for name, test := range map[string]struct {
		files       map[string]string
		run, prints string
	}{
		"in bin":        {app("web: bin/shop"), "bin/shop", "compiled\n"},
		"at the top":    {app("web: ./shop"), "./shop", "compiled\n"},
		"on PATH":       {app("web: shop"), "shop", "compiled\n"},
		"a command":     {app("web: shop"), "env printf %s command", "command"},
		"by its path":   {app("web: shop"), "bin/env", "not the command\n"},
		"its own bin":   {app("web: shop", "bin/shop", "#!/bin/sh\necho script"), "bin/shop", "script\n"},
		"bin is a file": {app("web: shop", "bin", ""), "shop", "compiled\n"},
	} {
		built, out, dir := mustBuild(t, b, cache, test.files)
		if got := printed(t, b, dir, built, test.run); got != test.prints {
			t.Errorf("%s: printed %q, want %q; log:\n%s", name, got, test.prints, out)
		}
	}

	broken := app("web: shop", "examples/old/main.go", "package main\n\nimport _ \"example.com/gone\"\n")
	_, out, _ := mustBuild(t, b, cache, broken)
	rig.WantIn(t, "a broken example", out,
		"leaving out example.com/shop/examples/old, which the Procfile does not name: go build")
	twins := app("web: shop", "a/twin/main.go", mainGo, "b/twin/main.go", mainGo)
	_, out, _ = mustBuild(t, b, cache, twins)
	rig.WantIn(t, "twins", out,
		"leaving out example.com/shop/b/twin: example.com/shop/a/twin is called twin too")
	for procfile, want := range map[string]string{
		"web: twin": "example.com/shop/a/twin and example.com/shop/b/twin are both called twin; " +
			"rename the folder of one",
		"web: ./start": "example.com/shop/a/twin and example.com/shop/b/twin are both called twin",
	} {
		twins["Procfile"] = procfile
		_, _, _, err := buildFiles(t, b, cache, twins)
		rig.WantIn(t, procfile, rig.Message(err), want)
	}
	for _, line := range []string{"go run ./cmd/shop", "go run cmd/shop/main.go"} {
		broken["Procfile"] = "web: " + line
		_, out, _ := mustBuild(t, b, cache, broken)
		rig.WantIn(t, line, out, "leaving out example.com/shop/examples/old")
	}
	broken["Procfile"] = "web: old"
	_, _, _, err := buildFiles(t, b, cache, broken)
	rig.WantIn(t, "a broken app", rig.Message(err), "go build: exit status 1: ", "example.com/gone")
}

// A process that compiles when it starts finds what the build compiled.
func TestGoRun(t *testing.T) {
	rig.Need(t, "go")
	b, cache := newBuilder(t), t.TempDir()
	keepGoCache(t, cache)
	const line = "go run -v ."
	built, _, dir := mustBuild(t, b, cache, map[string]string{
		"go.mod": "module example.com/shop\n\ngo 1.21\n", "main.go": mainGo, "Procfile": "web: " + line,
	})
	got := printed(t, b, dir, built, line)
	if got != "compiled\n" && got != "example.com/shop\ncompiled\n" {
		t.Errorf("compiled again:\n%s", got)
	}
}
