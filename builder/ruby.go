package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

var ruby = language{kind: "ruby", detect: func(root *os.Root) (project, error) {
	r := &rubyApp{gemfile: tree.IsFile(root, "Gemfile")}
	if !r.gemfile && !tree.IsFile(root, "config.ru") && !tree.IsFile(root, "app.rb") {
		return nil, nil
	}
	var err error
	if r.wishes, err = versionFile(root, ".ruby-version", "ruby-", 2); err != nil {
		return nil, err
	}
	if r.gemfile && tree.IsFile(root, "Gemfile.lock") {
		r.lock, err = tree.Read(root, "Gemfile.lock", 4<<20)
	}
	return r, err
}}

// rubyApp is a tree with a Gemfile, or with a program of Ruby that needs none.
type rubyApp struct {
	gemfile bool
	lock    []byte // Gemfile.lock; empty: there is none
	wishes  []wish
}

var bundlerTool = tool{name: "bundle", install: "install Bundler (gem install bundler, or the package bundler)"}

func (r *rubyApp) tools(p *plan) []tool {
	if !r.gemfile && !p.runs("ruby") {
		return nil
	}
	tools := []tool{{name: "ruby", install: "install Ruby (https://www.ruby-lang.org, or the package ruby)", wishes: r.wishes}}
	if r.gemfile {
		tools = append(tools, bundlerTool)
	}
	return tools
}

// web takes the server that the app has among its gems, by the names that Rack's users know.
func (r *rubyApp) web(root *os.Root) (string, error) {
	exec := ""
	if r.gemfile {
		exec = "bundle exec "
	}
	switch {
	case tree.IsFile(root, "config.ru") && r.has("puma"):
		return exec + "puma -b tcp://127.0.0.1:$PORT", nil
	case tree.IsFile(root, "config.ru"):
		return exec + "rackup -o 127.0.0.1 -p $PORT", nil
	case tree.IsFile(root, "app.rb"):
		return exec + "ruby app.rb", nil
	}
	return "", errors.New("a Ruby app without config.ru or app.rb: add a Procfile with a line like `web: bundle exec puma -p $PORT`")
}

// has says whether Gemfile.lock names gem, at the depth at which it lists what is installed.
func (r *rubyApp) has(gem string) bool {
	return regexp.MustCompile(`(?m)^ {4}` + regexp.QuoteMeta(gem) + ` \(`).Match(r.lock)
}

// gemsElsewhere are Bundler's settings that say where gems are; one who sets them knows better.
var gemsElsewhere = []string{"BUNDLE_PATH", "BUNDLE_PATH__SYSTEM"}

// rubyEnv is what Ruby's frameworks and Bundler go by, unless config vars say otherwise.
var rubyEnv = map[string]string{
	"RACK_ENV":                 "production",
	"RAILS_ENV":                "production",
	"RAILS_LOG_TO_STDOUT":      "enabled",
	"RAILS_SERVE_STATIC_FILES": "enabled", // there is no other server in front that would
	"BUNDLE_WITHOUT":           "development:test",
}

// build installs the gems that Gemfile.lock names. Builds with the same gems share them, and Bundler
// finds them by its environment, which processes get too.
func (r *rubyApp) build(ctx context.Context, b *build) error {
	for name, value := range rubyEnv {
		b.setEnv(name, value)
	}
	if !r.gemfile {
		return nil
	}
	b.step("ruby")
	b.setEnv("BUNDLE_GEMFILE", filepath.Join(b.job.Tree, "Gemfile"))
	if err := r.gems(ctx, b); err != nil {
		return err
	}
	return r.assets(ctx, b)
}

// gems sees to it that Bundler finds what the lock file names.
func (r *rubyApp) gems(ctx context.Context, b *build) error {
	elsewhere := slices.ContainsFunc(gemsElsewhere, func(name string) bool { return b.job.Config[name] != "" })
	switch {
	case r.lock == nil:
		say.Detail(b.job.Out, "no Gemfile.lock: commit one, and installs are the same each time, and kept between pushes")
		b.setEnv("BUNDLE_PATH", filepath.Join(b.job.Tree, "vendor/bundle"))
		return r.install(ctx, b)
	case elsewhere:
		b.setEnv("BUNDLE_FROZEN", "true")
		return r.install(ctx, b)
	}
	b.setEnv("BUNDLE_DEPLOYMENT", "true") // else Bundler repairs a lock file that does not fit the Gemfile
	key, err := r.key(ctx, b)
	if err != nil {
		return err
	}
	gems := b.shared("bundle", key)
	b.setEnv("BUNDLE_PATH", gems)
	return b.share(gems, "gems of an earlier build (Gemfile.lock has not changed)", func() error { return r.install(ctx, b) })
}

// assets makes the styles and scripts of an app of Rails, which in production are not made on the way.
func (r *rubyApp) assets(ctx context.Context, b *build) error {
	if !tree.IsFile(b.tree, "bin/rails") || !r.has("sprockets-rails") && !r.has("propshaft") {
		return nil
	}
	env := cmdline.With(b.built.Env, b.env)
	env["SECRET_KEY_BASE_DUMMY"] = "1" // Rails starts without the real one, which the build need not know
	return b.run(ctx, "rails assets:precompile", env, "bundle", "exec", "ruby", "bin/rails", "assets:precompile")
}

func (r *rubyApp) install(ctx context.Context, b *build) error {
	env := cmdline.With(b.built.Env, b.env) // what the owner set counts
	maps.Copy(env, map[string]string{
		"BUNDLE_USER_HOME":            b.cache("bundler"),
		"BUNDLE_GLOBAL_GEM_CACHE":     "true", // with a changed lock file, only what is new is downloaded
		"BUNDLE_SILENCE_ROOT_WARNING": "true",
		"BUNDLE_VERSION":              "system", // else the Bundler that wrote the lock file is downloaded
	})
	return b.run(ctx, "bundle install", env, "bundle", "install", "--quiet")
}

// key is made of what decides which gems are installed, and of what they are compiled for.
func (r *rubyApp) key(ctx context.Context, b *build) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"ruby", "bundle"} {
		version, err := b.toolVersion(ctx, b.env, name)
		if err != nil {
			return "", err
		}
		part(sum, name, []byte(version))
	}
	part(sum, "platform", []byte(runtime.GOOS+"/"+runtime.GOARCH))
	for _, name := range slices.Sorted(maps.Keys(b.job.Config)) {
		if strings.HasPrefix(name, "BUNDLE_") {
			part(sum, name, []byte(b.job.Config[name]))
		}
	}
	for _, name := range []string{"Gemfile", "Gemfile.lock", ".bundle/config"} {
		content, err := tree.Read(b.tree, name, 4<<20)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		part(sum, name, content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
