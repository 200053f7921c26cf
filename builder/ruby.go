package builder

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

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
	if r.requires, err = versionFile(root, ".ruby-version", "ruby-", 2); err != nil {
		return nil, err
	}
	if r.gemfile {
		r.lock, err = tree.ReadIf(root, "Gemfile.lock", 4<<20)
	}
	return r, err
}}

// rubyApp is a tree with a Gemfile, or with a Ruby program that needs none.
type rubyApp struct {
	gemfile  bool
	lock     []byte // content of Gemfile.lock; nil: none
	requires []requirement
}

var bundlerTool = tool{
	name: "bundle", install: "Bundler (gem install bundler, or the package bundler)",
}

func (r *rubyApp) tools(p *plan) []tool {
	if !r.gemfile && !p.runs("ruby") {
		return nil
	}
	tools := []tool{{
		name:     "ruby",
		install:  "Ruby (https://www.ruby-lang.org, the package ruby, or rbenv install)",
		requires: r.requires,
		others: func(_ context.Context, b *build) []string {
			return b.managed("ruby", "ruby", "/opt/rubies/*/bin/ruby") // also where chruby looks
		},
	}}
	if r.gemfile {
		tools = append(tools, bundlerTool)
	}
	return tools
}

// web uses the server that is among the app's gems.
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
	return "", noWebProcess("Ruby app without config.ru or app.rb", "bundle exec puma -p $PORT")
}

// has reports whether Gemfile.lock lists gem. Installed gems are indented by four spaces there.
func (r *rubyApp) has(gem string) bool {
	return regexp.MustCompile(`(?m)^ {4}` + regexp.QuoteMeta(gem) + ` \(`).Match(r.lock)
}

// gemPathSettings are Bundler's settings for the folder of the gems. If config vars set one, it is
// used.
var gemPathSettings = []string{"BUNDLE_PATH", "BUNDLE_PATH__SYSTEM"}

// rubyEnv are defaults for Bundler and Ruby's frameworks. Config vars override them.
var rubyEnv = map[string]string{
	"RACK_ENV":                 "production",
	"RAILS_ENV":                "production",
	"RAILS_LOG_TO_STDOUT":      "enabled",
	"RAILS_SERVE_STATIC_FILES": "enabled", // no other server in front does
	"BUNDLE_WITHOUT":           "development:test",
}

// build installs the gems in Gemfile.lock. Builds with the same gems share them. Bundler finds them
// through its environment, which processes get too.
func (r *rubyApp) build(ctx context.Context, b *build) error {
	for name, value := range rubyEnv {
		b.setEnv(name, value)
	}
	if ruby := b.programs["ruby"]; ruby != "" {
		b.setEnv("PATH", filepath.Dir(ruby)) // with its Bundler
		b.env["PATH"] = filepath.Dir(ruby) + ":" + b.env["PATH"]
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

// gems installs the gems, or finds those of an earlier build.
func (r *rubyApp) gems(ctx context.Context, b *build) error {
	ownPath := slices.ContainsFunc(gemPathSettings,
		func(name string) bool { return b.job.Config[name] != "" })
	switch {
	case r.lock == nil:
		say.Detail(b.job.Out, "no Gemfile.lock: commit one for repeatable and faster builds")
		b.setEnv("BUNDLE_PATH", filepath.Join(b.job.Tree, "vendor/bundle"))
		return r.install(ctx, b)
	case ownPath:
		b.setEnv("BUNDLE_FROZEN", "true")
		return r.install(ctx, b)
	}
	b.setEnv("BUNDLE_DEPLOYMENT", "true") // else Bundler changes a lock file that does not match
	key, err := r.key(ctx, b)
	if err != nil {
		return err
	}
	gems := b.shared("bundle", key)
	b.setEnv("BUNDLE_PATH", gems)
	return b.share(gems, "gems", "Gemfile.lock", func() error { return r.install(ctx, b) })
}

// assets makes the styles and scripts of a Rails app, which Rails does not make on demand in
// production.
func (r *rubyApp) assets(ctx context.Context, b *build) error {
	if !tree.IsFile(b.tree, "bin/rails") || !r.has("sprockets-rails") && !r.has("propshaft") {
		return nil
	}
	env := cmdline.With(b.built.Env, b.env)
	env["SECRET_KEY_BASE_DUMMY"] = "1" // lets Rails start without the real secret
	return b.run(ctx, "rails assets:precompile", env, "bundle", "exec", "ruby", "bin/rails",
		"assets:precompile")
}

func (r *rubyApp) install(ctx context.Context, b *build) error {
	env := cmdline.With(b.built.Env, b.env) // config vars win
	maps.Copy(env, map[string]string{
		"BUNDLE_USER_HOME": b.cache("bundler"),
		// after a change of the lock file, download only the new gems
		"BUNDLE_GLOBAL_GEM_CACHE":     "true",
		"BUNDLE_SILENCE_ROOT_WARNING": "true",
		// else it downloads the Bundler that wrote the lock file
		"BUNDLE_VERSION": "system",
	})
	return b.run(ctx, "bundle install", env, "bundle", "install", "--quiet")
}

// key hashes what decides which gems are installed and what they are compiled for.
func (r *rubyApp) key(ctx context.Context, b *build) (string, error) {
	key, err := b.newCacheKey(ctx, b.env, "ruby", "bundle")
	if err != nil {
		return "", err
	}
	key.addConfig(b.job.Config, bundlerSetting)
	err = key.addFiles(b.tree, "Gemfile", "Gemfile.lock", ".bundle/config")
	return key.String(), err
}

var bundlerSetting = regexp.MustCompile(`^BUNDLE_`)
