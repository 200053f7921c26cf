package build

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"

	"paas/runtime/command"
	"paas/runtime/tree"
	"paas/say"
)

// nodePackage is what matters here of a package.json
// (https://docs.npmjs.com/cli/configuring-npm/package-json).
type nodePackage struct {
	Main    string            `json:"main"`
	Scripts map[string]string `json:"scripts"`

	fields map[string]json.RawMessage // all of it
}

func readNodePackage(root *os.Root) (*nodePackage, error) {
	if !tree.IsFile(root, "package.json") {
		return nil, nil
	}
	content, err := tree.Read(root, "package.json", 4<<20)
	if err != nil {
		return nil, err
	}
	content = tree.Text(content)
	p := &nodePackage{}
	if err := json.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("package.json: %w", err)
	}
	return p, json.Unmarshal(content, &p.fields)
}

// script is the named script's text; empty where there is none, or no package.json.
func (p *nodePackage) script(name string) string {
	if p == nil {
		return ""
	}
	return p.Scripts[name]
}

// web is the command line of the web process; empty where package.json names none. The start
// script is run itself: npm takes 300 ms to start it, and then stays in between.
func (p *nodePackage) web(root *os.Root) string {
	switch {
	case p == nil:
		return ""
	case p.Scripts["start"] != "" && (p.Scripts["prestart"] != "" || p.Scripts["poststart"] != ""):
		return "npm start"
	case p.Scripts["start"] != "":
		return p.Scripts["start"]
	}
	for _, file := range []string{p.Main, p.Main + ".js", "server.js"} { // npm init writes a main that need not be there
		if file != "" && file != ".js" && tree.IsFile(root, path.Clean(file)) {
			return "node " + command.Quote(file)
		}
	}
	return ""
}

// dependencyFields are what npm reads of package.json to decide what to install, and how.
var dependencyFields = []string{
	"dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "peerDependenciesMeta",
	"bundleDependencies", "bundledDependencies", "overrides", "workspaces", "engines", "os", "cpu", "bin",
}

// hasDependencies says whether there is anything to install.
func (p *nodePackage) hasDependencies() bool {
	for _, field := range []string{"dependencies", "devDependencies", "optionalDependencies", "workspaces"} {
		if value := string(p.fields[field]); value != "" && value != "{}" && value != "[]" && value != "null" {
			return true
		}
	}
	return false
}

// installScripts are those that npm ci runs of the package itself
// (https://docs.npmjs.com/cli/using-npm/scripts#npm-ci).
var installScripts = []string{"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"}

// hasInstallScripts says whether installing does more than fill node_modules.
func (p *nodePackage) hasInstallScripts() bool {
	for _, name := range installScripts {
		if p.Scripts[name] != "" {
			return true
		}
	}
	return false
}

// buildNode installs what package.json asks for and runs its build script.
func (b *build) buildNode(ctx context.Context) error {
	p := b.plan.node
	if p == nil || !p.hasDependencies() && p.script("build") == "" {
		return nil
	}
	say.Step(b.job.Out, "Building (node)")
	env := command.With(b.env, map[string]string{
		"npm_config_cache":           b.cache("npm"),
		"npm_config_update_notifier": "false",
	})
	if p.hasDependencies() {
		if err := b.installNode(ctx, env); err != nil {
			return err
		}
	}
	if p.script("build") == "" {
		return nil
	}
	if env["NODE_ENV"] == "" {
		env["NODE_ENV"] = "production" // for what is built; what builds it is installed either way
	}
	return b.run(ctx, "npm run build", env, "npm", "run", "--loglevel=error", "build")
}

// installNode fills node_modules: from the cache where nothing that decides about it has changed,
// else by npm. Development dependencies are installed too, for the build needs them.
func (b *build) installNode(ctx context.Context, env map[string]string) error {
	lock := ""
	for _, name := range []string{"package-lock.json", "npm-shrinkwrap.json"} { // the second wins, as in npm
		if tree.IsFile(b.tree, name) {
			lock = name
		}
	}
	npm := func(verb string, more ...string) error {
		argv := append([]string{"npm", verb, "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"}, more...)
		return b.run(ctx, "npm "+verb, env, argv...)
	}
	if lock == "" {
		for _, other := range []string{"yarn.lock", "pnpm-lock.yaml", "bun.lock"} {
			if tree.IsFile(b.tree, other) {
				say.Detail(b.job.Out, "%s is not used here: npm installs", other)
			}
		}
		say.Detail(b.job.Out, "no package-lock.json: commit one, and installs are the same each time, and kept between pushes")
		return npm("install", "--no-package-lock")
	}
	modules, err := b.nodeModules(ctx, env, lock)
	if err != nil {
		return err
	}
	if modules.kept() {
		say.Detail(b.job.Out, "node_modules of an earlier build (%s has not changed)", lock)
		return modules.restore(ctx)
	}
	if err := npm("ci"); err != nil {
		return err
	}
	if reason := modules.unfit(); reason != "" {
		say.Detail(b.job.Out, "node_modules is not kept for the next build: %s", reason)
		return nil
	}
	return modules.keep(ctx)
}
