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

// gem returns a Ruby package that installs without a network.
func gem(t *testing.T) string {
	t.Helper()
	dir := rig.Tree(t, map[string]string{
		"lib/greet.rb": "def greet = puts('hello')\n",
		"greet.gemspec": "Gem::Specification.new { |s| s.name = 'greet'; s.version = '1.0'; s.summary = 'x'; " +
			"s.authors = ['x'];" +
			" s.files = ['lib/greet.rb'] }\n",
	})
	cmd := exec.Command("gem", "build", "--silent", "greet.gemspec")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gem build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "greet-1.0.gem"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

const gemLock = `GEM
  remote: https://rubygems.org/
  specs:
    greet (1.0)

PLATFORMS
  ruby

DEPENDENCIES
  greet
`

func TestBuildRuby(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ruby", "bundle", "gem")
	b := newBuilder(t)
	cache := t.TempDir()
	files := map[string]string{
		"Gemfile": "source 'https://rubygems.org'\ngem 'greet'\ngem 'only-here', group: :development\n",
		"Gemfile.lock": strings.Replace(gemLock, "    greet (1.0)\n",
			"    greet (1.0)\n    only-here (1.0)\n", 1) + "  only-here\n",
		"vendor/cache/greet-1.0.gem": gem(t),
		"app.rb":                     "require 'bundler/setup'\nrequire 'greet'\ngreet\nputs ENV['RACK_ENV']\n",
	}
	built, out, dir := mustBuild(t, b, cache, files)
	rig.WantIn(t, "build", out, "-----> Building (ruby)\n       bundle install\n")
	if got := printed(t, b, dir, built, built.Processes["web"]); built.Kind != "ruby" ||
		got != "hello\nproduction\n" {
		t.Errorf("built %+v, printed %q; log:\n%s", built, got, out)
	}

	began := time.Now()
	built, out, second := mustBuild(t, b, cache, files)
	t.Logf("Ruby build, nothing changed: %s", time.Since(began))
	rig.WantIn(t, "second build", out, "gems of an earlier build (Gemfile.lock has not changed)")
	if got := printed(t, b, second, built, built.Processes["web"]); got != "hello\nproduction\n" ||
		strings.Contains(out, "bundle install") {
		t.Errorf("printed %q; log:\n%s", got, out)
	}

	// a Gemfile that does not match the lock file is an error; Bundler does not change the lock
	// file
	changed := maps.Clone(files)
	changed["Gemfile"] += "gem 'more'\n"
	_, out, _, err := buildFiles(t, b, cache, changed)
	rig.WantIn(t, "a lock that does not fit", rig.Message(err), "bundle install: exit status")
	rig.WantIn(t, "its output", out, "deployment mode")

	for _, gone := range []string{dir, second} {
		os.RemoveAll(gone)
	}
	if err := Sweep(cache); err != nil || isFolder(built.Env["BUNDLE_PATH"]) {
		t.Errorf("err = %v; or gems that no build uses are still there", err)
	}
}

// A Rails app gets its assets compiled, without its secrets. Rails itself is a fake.
func TestBuildRailsAssets(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ruby", "bundle")
	_, out, _ := mustBuild(t, newBuilder(t), t.TempDir(), map[string]string{
		"Gemfile":      "source 'https://rubygems.org'\ngem 'propshaft', group: :development\n",
		"Gemfile.lock": strings.ReplaceAll(gemLock, "greet", "propshaft"),
		"config.ru":    "",
		"bin/rails":    "puts ARGV, ENV['RAILS_ENV'], ENV['SECRET_KEY_BASE_DUMMY']\n",
	})
	rig.WantIn(t, "build", out,
		"       rails assets:precompile\n       assets:precompile\n       production\n       1\n")
}

// Config vars can move the gems elsewhere.
func TestBuildRubySystemGems(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ruby", "bundle")
	b := newBuilder(t)
	dir := rig.Tree(t, map[string]string{
		"Gemfile":      "",
		"Gemfile.lock": "GEM\n  specs:\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n",
		"app.rb":       "",
	})
	built, err := b.Build(t.Context(), Job{
		App:    "blog",
		Tree:   dir,
		Cache:  t.TempDir(),
		Out:    &rig.Screen{},
		Config: map[string]string{"BUNDLE_PATH__SYSTEM": "true"},
	})
	if err != nil || built.Env["BUNDLE_PATH"] != "" || built.Env["BUNDLE_FROZEN"] == "" {
		t.Errorf("built %+v, err = %v", built, err)
	}
}

func TestRubyWeb(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		web   string
	}{
		"puma": {
			map[string]string{
				"Gemfile":      "",
				"config.ru":    "",
				"Gemfile.lock": "GEM\n  specs:\n    puma (6.4.0)\n",
			},
			"bundle exec puma -b tcp://127.0.0.1:$PORT",
		},
		"not puma": {
			map[string]string{
				"Gemfile":      "",
				"config.ru":    "",
				"Gemfile.lock": "GEM\n  specs:\n    x (1)\n      puma (> 5)\n",
			},
			"bundle exec rackup -o 127.0.0.1 -p $PORT",
		},
		"no Gemfile":  {map[string]string{"config.ru": ""}, "rackup -o 127.0.0.1 -p $PORT"},
		"app.rb":      {map[string]string{"app.rb": "", "Gemfile": ""}, "bundle exec ruby app.rb"},
		"app.rb only": {map[string]string{"app.rb": ""}, "ruby app.rb"},
	} {
		p, err := detectIn(t, rig.Tree(t, test.files))
		if err != nil || p.kind != "ruby" || p.processes["web"] != test.web {
			t.Errorf("%s: plan %+v, err = %v", name, p, err)
		}
	}
	_, err := detectIn(t, rig.Tree(t, map[string]string{"Gemfile": ""}))
	rig.WantIn(t, "nothing to start", rig.Message(err),
		"Ruby app without config.ru or app.rb; add a Procfile")
}
