package builder

import (
	"context"
	"os"
	"regexp"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

var php = language{kind: "php", detect: func(root *os.Root) (project, error) {
	p := &phpApp{
		composer: tree.IsFile(root, "composer.json"),
		locked:   tree.IsFile(root, "composer.lock"),
		folder:   folderWith(root, "index.php", "public", "web", "."),
	}
	if !p.composer && p.folder == "" {
		return nil, nil
	}
	var err error
	p.requires, err = versionFile(root, ".php-version", "php-", 2)
	return p, err
}}

// phpApp is a tree with a composer.json, or with PHP pages that need none.
type phpApp struct {
	composer, locked bool
	folder           string // the folder with index.php; empty: none
	requires         []requirement
}

func (p *phpApp) tools(plan *plan) []tool {
	if !p.composer && !plan.runs("php") {
		return nil
	}
	tools := []tool{{
		name: "php", install: "PHP (https://www.php.net, or the package php-cli)",
		requires: p.requires,
	}}
	if p.composer {
		tools = append(tools, tool{
			name:    "composer",
			install: "Composer (https://getcomposer.org, or the package composer)",
		})
	}
	return tools
}

// web uses PHP's own server. docs/languages.md says when that is enough, and how to use another.
func (p *phpApp) web(*os.Root) (string, error) {
	if p.folder == "" {
		return "", noWebProcess("PHP app without public/index.php or index.php",
			"php -S 127.0.0.1:$PORT -t public")
	}
	return "php -S 127.0.0.1:$PORT -t " + p.folder, nil
}

// build has Composer fill vendor.
func (p *phpApp) build(ctx context.Context, b *build) error {
	if b.plan.runs("php") {
		b.setEnv("PHP_CLI_SERVER_WORKERS", "4") // the default serves one request at a time
	}
	if !p.composer {
		return nil
	}
	b.step("php")
	env := cmdline.With(b.env, map[string]string{
		"COMPOSER_HOME":            b.cache("composer"),
		"COMPOSER_ALLOW_SUPERUSER": "1", // else it disables plugins if the server is root
		"COMPOSER_NO_INTERACTION":  "1",
	})
	install := func() error {
		return b.run(ctx, "composer install", env, "composer", "install", "--no-dev",
			"--no-interaction", "--prefer-dist",
			"--optimize-autoloader", "--no-progress")
	}
	if !p.locked {
		say.Detail(b.job.Out, "no composer.lock: commit one for repeatable and faster builds")
		return install()
	}
	lock, err := tree.Read(b.tree, "composer.lock", 16<<20)
	if err != nil {
		return err
	}
	if packageInTree.Match(lock) {
		say.Detail(b.job.Out,
			"not keeping vendor for the next build: it contains packages of the repository itself")
		return install()
	}
	vendor, err := p.vendor(ctx, b, env)
	if err != nil {
		return err
	}
	// Composer still runs: it installs no packages but indexes the app's own classes and runs its
	// scripts. It writes into vendor, so files are not shared with the cache.
	restored, err := vendor.restore(ctx, b, "vendor", "composer.lock", false)
	if err != nil {
		return err
	}
	if err := install(); err != nil || restored {
		return err
	}
	return vendor.keep(ctx, b.tree, "vendor", false)
}

// packageInTree matches a lock file with a package that is a folder of the repository.
var packageInTree = regexp.MustCompile(`"type":\s*"path"`)

// vendor returns the cache's copy of the folder for these files and this version of PHP.
func (p *phpApp) vendor(ctx context.Context, b *build, env map[string]string) (keptFolder, error) {
	key, err := b.newCacheKey(ctx, env, "php")
	if err != nil {
		return keptFolder{}, err
	}
	err = key.addFiles(b.tree, "composer.json", "composer.lock")
	return keptFolder{b.cache("vendor", key.String())}, err
}
