package builder

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/rig"
)

func TestPHPWeb(t *testing.T) {
	for folder, files := range map[string]map[string]string{
		"public": {"public/index.php": "", "index.php": "", "composer.json": "{}"},
		"web":    {"web/index.php": "", "composer.json": "{}"},
		".":      {"index.php": "", "index.html": ""},
	} {
		p, err := detectIn(t, rig.Tree(t, files))
		if err != nil || p.kind != "php" ||
			p.processes["web"] != "php -S 127.0.0.1:$PORT -t "+folder {
			t.Errorf("%s: %+v, %v", folder, p, err)
		}
	}
	_, err := detectIn(t, rig.Tree(t, map[string]string{"composer.json": "{}"}))
	rig.WantIn(t, "nothing to start", rig.Message(err),
		"PHP app without public/index.php or index.php")
}

// greetComposer requires a package that Composer finds in a zip beside it, without a network.
const greetComposer = `{
  "require": {"hello/greet": "1.0"},
  "repositories": [
    {"type": "package", "package": {"name": "hello/greet", "version": "1.0", "dist": {"type": "zip", "url": "greet.zip"},
      "autoload": {"files": ["greet.php"]}}},
    {"packagist.org": false}
  ],
  "autoload": {"classmap": ["src"]}
}`

func TestBuildPHP(t *testing.T) {
	t.Parallel()
	rig.Need(t, "php", "composer")
	b := newBuilder(t)
	cache := t.TempDir()
	files := map[string]string{
		"composer.json": greetComposer,
		"greet.zip": zipped(t, map[string]string{
			"greet.php": "<?php function greet() { return 'hello'; }",
		}),
		"src/Page.php":     "<?php class Page { static function show() { echo greet(), PHP_EOL; } }",
		"public/index.php": "<?php require __DIR__ . '/../vendor/autoload.php'; Page::show();",
	}
	_, out, _ := mustBuild(t, b, cache, files)
	rig.WantIn(t, "build without a lock", out, "no composer.lock: commit one")

	files["composer.lock"] = composerLock(t, files)
	built, out, dir := mustBuild(t, b, cache, files)
	rig.WantIn(t, "build", out, "-----> Building (php)\n       composer install\n",
		"Installing hello/greet")
	if got := printed(t, b, dir, built, "php public/index.php"); built.Kind != "php" ||
		got != "hello\n" || built.Env["PHP_CLI_SERVER_WORKERS"] == "" {
		t.Errorf("built %+v, printed %q", built, got)
	}

	// a new class is found, although the packages come from the cache
	changed := maps.Clone(files)
	delete(changed, "src/Page.php")
	changed["src/Other.php"] = "<?php class Page { static function show() { echo greet(), ' " +
		"again', PHP_EOL; } }"
	began := time.Now()
	built, out, dir = mustBuild(t, b, cache, changed)
	t.Logf("PHP build, composer.lock not changed: %s", time.Since(began))
	rig.WantIn(t, "second build", out, "vendor of an earlier build (composer.lock has not changed)",
		"Nothing to install")
	if got := printed(t, b, dir, built, "php public/index.php"); got != "hello again\n" {
		t.Errorf("printed %q; log:\n%s", got, out)
	}
	_, _, third := mustBuild(t, b, cache, files)
	// none has written into another's
	for tree, want := range map[string]string{dir: "hello again\n", third: "hello\n"} {
		if got := printed(t, b, tree, built, "php public/index.php"); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	}

	delete(files, "greet.zip")
	_, out, _, err := buildFiles(t, b, t.TempDir(), files)
	rig.WantIn(t, "a package that is not there", rig.Message(err)+out,
		"composer install: exit status", "greet.zip")
}

// composerLock returns the lock file that Composer writes for files.
func composerLock(t *testing.T, files map[string]string) string {
	t.Helper()
	cmd := exec.Command("composer", "update", "--no-install", "--no-interaction", "--quiet")
	cmd.Dir = rig.Tree(t, files)
	cmd.Env = append(cmd.Environ(), "COMPOSER_ALLOW_SUPERUSER=1", "COMPOSER_HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("composer update: %v\n%s", err, out)
	}
	lock, err := os.ReadFile(filepath.Join(cmd.Dir, "composer.lock"))
	if err != nil {
		t.Fatal(err)
	}
	return string(lock)
}

// A package that is a folder of the repository is used as it is now.
func TestBuildPHPPackageInTree(t *testing.T) {
	t.Parallel()
	rig.Need(t, "php", "composer")
	b := newBuilder(t)
	cache := t.TempDir()
	files := map[string]string{
		"composer.json":           `{"require": {"hello/greet": "*"}, "repositories": [{"type": "path", "url": "lib/greet"}, {"packagist.org": false}]}`,
		"lib/greet/composer.json": `{"name": "hello/greet", "version": "1.0", "autoload": {"files": ["greet.php"]}}`,
		"lib/greet/greet.php":     "<?php echo 'one';",
		"index.php":               "<?php require 'vendor/autoload.php';",
	}
	files["composer.lock"] = composerLock(t, files)
	for _, word := range []string{"one", "two"} {
		files["lib/greet/greet.php"] = strings.Replace(files["lib/greet/greet.php"], "one", word, 1)
		built, out, dir := mustBuild(t, b, cache, files)
		rig.WantIn(t, "build", out, "not keeping vendor for the next build")
		if got := printed(t, b, dir, built, "php index.php"); got != word {
			t.Errorf("%q, want %q", got, word)
		}
	}
}
