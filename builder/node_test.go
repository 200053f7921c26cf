package builder

import (
	"maps"
	"os"
	"paas/builder/cmdline"
	"paas/rig"
	"paas/volume"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodeFiles is an app with a dependency that needs no network: a folder of its own tree.
func nodeFiles(extra map[string]string) map[string]string {
	files := map[string]string{
		"server.js":             `console.log(require("greet")())`,
		"greet/package.json":    `{"name": "greet", "version": "1.0.0"}`,
		"greet/index.js":        `module.exports = () => "hello"`,
		"package.json":          `{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:greet"}}`,
		"package-lock.json":     greetLock,
		"node_modules/old/x.js": "committed by mistake",
	}
	maps.Copy(files, extra)
	return files
}

const greetLock = `{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
"": {"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:greet"}},
"greet": {"version": "1.0.0"},
"node_modules/greet": {"resolved": "greet", "link": true}}}`

func TestNodeCache(t *testing.T) {
	t.Parallel()
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	cache := t.TempDir()
	built, out, dir := mustBuild(t, b, cache, nodeFiles(nil))
	rig.WantIn(t, "first build", out, "-----> Building (node)\n       npm ci\n")
	if built.Kind != "node" || built.Processes["web"] != "node server.js" {
		t.Errorf("built %+v", built)
	}
	run := func(dir string) string {
		return printed(t, b, dir, volume.Built{}, "node server.js")
	}
	if got := run(dir); got != "hello\n" {
		t.Errorf("printed %q", got)
	}

	began := time.Now()
	_, out, dir = mustBuild(t, b, cache, nodeFiles(map[string]string{
		"server.js": `console.log(require("greet")() + "!")`,
	}))
	t.Logf("Build with an unchanged lock file: %s", time.Since(began))
	rig.WantIn(t, "second build", out, "node_modules of an earlier build")
	if strings.Contains(out, "npm ci") {
		t.Errorf("the second build installed again:\n%s", out)
	}
	if got := run(dir); got != "hello!\n" {
		t.Errorf("printed %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules/old")); err == nil {
		t.Error("the committed node_modules is still there")
	}

	// everything that affects node_modules causes a new install
	for name, extra := range map[string]map[string]string{
		"lock": {"package-lock.json": greetLock + "\n"},
		"dependencies": {
			"package.json": `{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:./greet"}}`,
		},
		"npmrc": {".npmrc": "ignore-scripts=true\n"},
		"linked folder": {
			"greet/package.json": `{"name": "greet", "version": "1.0.0", "engines": {"node": ">1"}}`,
		},
	} {
		if _, out, _, _ := buildFiles(t, b, cache, nodeFiles(extra)); !strings.Contains(out,
			"npm ci") {
			t.Errorf("%s: not installed again:\n%s", name, out)
		}
	}
	if entries, _ := os.ReadDir(filepath.Join(cache, "node_modules")); len(entries) > keptCopies {
		t.Errorf("the cache keeps %d copies", len(entries))
	}
}

// Without a build script files are shared with the cache. With one they are copied, because it may
// write into them.
func TestNodeCacheIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	cache := t.TempDir()
	app := nodeFiles(map[string]string{"package.json": `{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:greet"},
		"scripts": {"build": "cat node_modules/.package-lock.json && printf sp%s oilt > node_modules/.package-lock.json"}}`})
	for range 3 { // made, kept; restored; restored
		_, out, _ := mustBuild(t, b, cache, app)
		rig.WantIn(t, "build", out, `"lockfileVersion": 3`, "npm run build")
		if strings.Contains(out, "spoilt") {
			t.Fatal("a build wrote into the cache")
		}
	}
}

func TestNodeInstallScriptsAreNotSkipped(t *testing.T) {
	t.Parallel()
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	cache := t.TempDir()
	app := nodeFiles(map[string]string{"package.json": `{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:greet"},
		"scripts": {"postinstall": "touch made"}}`})
	for range 2 {
		_, out, dir := mustBuild(t, b, cache, app)
		rig.WantIn(t, "build", out, "npm ci",
			"not keeping node_modules for the next build: install scripts")
		if _, err := os.Stat(filepath.Join(dir, "made")); err != nil {
			t.Error(err)
		}
	}
}

// npm makes the programs of a linked package executable, in the tree.
func TestNodeLinkedProgram(t *testing.T) {
	t.Parallel()
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	cache := t.TempDir()
	app := nodeFiles(map[string]string{
		"greet/package.json": `{"name": "greet", "version": "1.0.0", "bin": {"greet": "cli.js"}}`,
		"greet/cli.js":       "#!/usr/bin/env node\nconsole.log('from the program')",
		"package-lock.json": strings.Replace(greetLock, `"greet": {"version": "1.0.0"}`,
			`"greet": {"version": "1.0.0", "bin": {"greet": "cli.js"}}`, 1),
	})
	for range 2 {
		_, _, dir := mustBuild(t, b, cache, app)
		if got := printed(t, b, dir, volume.Built{}, "greet"); got != "from the program\n" {
			t.Errorf("printed %q", got)
		}
	}
}

func TestNodeWithoutLock(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	app := nodeFiles(nil)
	delete(app, "package-lock.json")
	_, out, dir := mustBuild(t, b, t.TempDir(), app)
	rig.WantIn(t, "build", out, "no package-lock.json: commit one", "\n       npm install\n")
	if got := printed(t, b, dir, volume.Built{}, "node server.js"); got != "hello\n" {
		t.Errorf("printed %q", got)
	}

	began := time.Now()
	built, out, _ := mustBuild(t, b, t.TempDir(), map[string]string{
		"package.json": `{"name": "app"}`,
		"server.js":    "",
	})
	if out != "" || built.Processes["web"] != "node server.js" || time.Since(began) > time.Second {
		t.Errorf("%+v after %s:\n%s", built, time.Since(began), out)
	}
}

func TestNodeInstallFails(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := newBuilder(t)
	for want, extra := range map[string]map[string]string{
		"npm ci: exit status 1: the lock file does not fit; " +
			"run npm install and commit package-lock.json": {"package.json": `{"name": "app",
			"version": "1.0.0", "dependencies": {"greet": "file:greet", "other": "1.0.0"}}`},
		"npm ci: exit status 3: command sh -c echo no; exit 3": {"package.json": `{"name": "app",
			"version": "1.0.0", "dependencies": {"greet": "file:greet"},
			"scripts": {"postinstall": "echo no; exit 3"}}`},
	} {
		_, out, _, err := buildFiles(t, b, t.TempDir(), nodeFiles(extra))
		if rig.Message(err) != want {
			t.Errorf("err = %v, want %s; log:\n%s", err, want, out)
		}
	}
}

func TestToolVersionIsCached(t *testing.T) {
	rig.Need(t, "node", "npm")
	b := &build{Builder: newBuilder(t), job: Job{Tree: t.TempDir(), View: sameView{}}}
	env := cmdline.Base(nil)
	first, err := b.toolVersion(t.Context(), env, "node")
	if err != nil || !strings.HasPrefix(first, "v") {
		t.Fatalf("toolVersion = %q, %v", first, err)
	}
	path, err := cmdline.LookPath("node", env["PATH"], "/")
	if err != nil {
		t.Fatal(err)
	}
	if isScript(path) {
		t.Skip("NOT TESTED: node is a script here")
	}
	if known := maps.Collect(b.versions.Range); len(known) != 1 {
		t.Errorf("cached versions: %v, want one", known)
	}
}

// As on Heroku, the script heroku-postbuild is run in place of build.
func TestHerokuPostbuild(t *testing.T) {
	t.Parallel()
	rig.Need(t, "node", "npm")
	_, _, dir := mustBuild(t, newBuilder(t), t.TempDir(), map[string]string{
		"server.js": "",
		"package.json": `{"main": "server.js", "scripts": {"build": "touch build",
			"heroku-postbuild": "touch heroku"}}`,
	})
	for name, want := range map[string]bool{"heroku": true, "build": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil != want {
			t.Errorf("the script that makes %s has run: %v", name, !want)
		}
	}
}

// heroku-prebuild is run before the dependencies are installed, and heroku-cleanup after the build,
// also if there are none.
func TestHerokuScripts(t *testing.T) {
	bin := fakeTools(t, map[string]string{"node": "v22.1.0"})
	makeProgram(t, bin+"/npm", `case "$1" in --version) echo 10.9.4;; *) echo "npm $* $NODE_ENV";; esac`)
	t.Setenv("PATH", bin)
	const scripts = `"scripts": {"heroku-prebuild": "x", "build": "x", "heroku-cleanup": "x"}`
	_, out, _ := mustBuild(t, newBuilder(t), t.TempDir(), map[string]string{
		"Procfile": "web: x", "package.json": `{"dependencies": {"a": "1"}, ` + scripts + `}`,
	})
	at := 0
	for _, want := range []string{
		"error heroku-prebuild production", "npm install", "error build production",
		"error heroku-cleanup production",
	} {
		next := strings.Index(out[at:], want)
		if next < 0 {
			t.Fatalf("no %q after %q in:\n%s", want, out[:at], out)
		}
		at += next
	}
	_, out, _ = mustBuild(t, newBuilder(t), t.TempDir(), map[string]string{
		"Procfile": "web: x", "package.json": `{"scripts": {"heroku-cleanup": "x"}}`,
	})
	rig.WantIn(t, "without dependencies", out, "error heroku-cleanup production")
}

// npm 6 does not know --include=dev. With NODE_ENV=production, as in a config var of Heroku's, it
// would leave out what the build needs.
func TestOldNPMInstallsForTheBuild(t *testing.T) {
	bin := fakeTools(t, map[string]string{"node": "v14.21.3"})
	makeProgram(t, bin+"/npm", `[ "$1" = --version ] && echo "$NPM" || echo "also=$npm_config_also"`)
	t.Setenv("PATH", bin)
	for version, want := range map[string]string{"6.14.18": "also=dev\n", "10.9.4": "also=\n"} {
		t.Setenv("NPM", version)
		b := newBuilder(t)
		b.PassEnv = []string{"NPM"}
		_, out, _ := mustBuild(t, b, t.TempDir(), map[string]string{
			"package.json": `{"dependencies": {"a": "1"}, "scripts": {"start": "x"}}`,
		})
		rig.WantIn(t, version, out, want)
	}
}
