package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"regexp"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

var php = language{kind: "php", detect: func(root *os.Root) (project, error) {
	p := &phpApp{composer: tree.IsFile(root, "composer.json"), locked: tree.IsFile(root, "composer.lock")}
	for _, folder := range []string{"public", "web", "."} {
		if tree.IsFile(root, folder+"/index.php") {
			p.folder = folder
			break
		}
	}
	if !p.composer && p.folder == "" {
		return nil, nil
	}
	var err error
	p.wishes, err = versionFile(root, ".php-version", "php-", 2)
	return p, err
}}

// phpApp is a tree with a composer.json, or with pages of PHP that need none.
type phpApp struct {
	composer, locked bool
	folder           string // that holds index.php; empty: none does
	wishes           []wish
}

func (p *phpApp) tools(plan *plan) []tool {
	if !p.composer && !plan.runs("php") {
		return nil
	}
	tools := []tool{{name: "php", install: "install PHP (https://www.php.net, or the package php-cli)", wishes: p.wishes}}
	if p.composer {
		tools = append(tools, tool{name: "composer", install: "install Composer (https://getcomposer.org, or the package composer)"})
	}
	return tools
}

// web is PHP's own server: docs/languages.md says what it is good for, and how to name another.
func (p *phpApp) web(*os.Root) (string, error) {
	if p.folder == "" {
		return "", errors.New("a PHP app without public/index.php or index.php: add a Procfile with a line like `web: php -S 127.0.0.1:$PORT -t public`")
	}
	return "php -S 127.0.0.1:$PORT -t " + p.folder, nil
}

// build has Composer fill vendor.
func (p *phpApp) build(ctx context.Context, b *build) error {
	if b.plan.runs("php") {
		b.setEnv("PHP_CLI_SERVER_WORKERS", "4") // else it answers one request at a time
	}
	if !p.composer {
		return nil
	}
	b.step("php")
	env := cmdline.With(b.env, map[string]string{
		"COMPOSER_HOME":            b.cache("composer"),
		"COMPOSER_ALLOW_SUPERUSER": "1", // else it takes plugins for forbidden where the server is root's
		"COMPOSER_NO_INTERACTION":  "1",
	})
	install := func() error {
		return b.run(ctx, "composer install", env, "composer", "install", "--no-dev", "--no-interaction", "--prefer-dist",
			"--optimize-autoloader", "--no-progress")
	}
	if !p.locked {
		say.Detail(b.job.Out, "no composer.lock: commit one, and installs are the same each time, and kept between pushes")
		return install()
	}
	lock, err := tree.Read(b.tree, "composer.lock", 16<<20)
	if err != nil {
		return err
	}
	if packageInTree.Match(lock) {
		say.Detail(b.job.Out, "vendor is not kept for the next build: packages of the repository itself are copied into it")
		return install()
	}
	vendor, err := p.vendor(ctx, b, env)
	if err != nil {
		return err
	}
	// With the packages there, Composer installs nothing; it finds the app's own classes again, and
	// runs its scripts. So it writes into vendor, and files are not shared.
	known := vendor.is()
	if known {
		say.Detail(b.job.Out, "vendor of an earlier build (composer.lock has not changed)")
		if err := vendor.restore(ctx, b.tree, "vendor", false); err != nil {
			return err
		}
	} else if err := b.tree.RemoveAll("vendor"); err != nil { // a committed one is not what the lock says
		return err
	}
	if err := install(); err != nil || known {
		return err
	}
	return vendor.keep(ctx, b.tree, "vendor", false)
}

// packageInTree finds in a lock file a package that is a folder beside it.
var packageInTree = regexp.MustCompile(`"type":\s*"path"`)

// vendor is where the cache keeps what the lock file names, for this version of PHP.
func (p *phpApp) vendor(ctx context.Context, b *build, env map[string]string) (keptFolder, error) {
	sum := sha256.New()
	version, err := b.toolVersion(ctx, env, "php")
	if err != nil {
		return keptFolder{}, err
	}
	part(sum, "php", []byte(version))
	for _, name := range []string{"composer.json", "composer.lock"} {
		content, err := tree.Read(b.tree, name, 16<<20)
		if err != nil {
			return keptFolder{}, err
		}
		part(sum, name, content)
	}
	return keptFolder{b.cache("vendor", hex.EncodeToString(sum.Sum(nil)[:8]))}, nil
}
