package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"paas/runtime/command"
	"paas/runtime/tree"
	"paas/say"
)

var node = language{kind: "node", detect: func(root *os.Root) (project, error) {
	p, err := readNodePackage(root)
	if p == nil || err != nil { // not a nil *nodePackage in a project
		return nil, err
	}
	return p, nil
}}

var (
	nodeTool = tool{name: "node", install: "install Node.js (https://nodejs.org, or the package nodejs)"}
	npmTool  = tool{name: "npm", install: "install npm (it comes with https://nodejs.org, or the package npm)"}
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

func (p *nodePackage) tools(plan *plan) (tools []tool) {
	if plan.runs("node") {
		tools = append(tools, nodeTool)
	}
	if p.hasDependencies() || p.Scripts["build"] != "" {
		tools = append(tools, nodeTool, npmTool)
	}
	return tools
}

// web is the start script itself: npm takes 300 ms to start it, and then stays in between.
func (p *nodePackage) web(root *os.Root) (string, error) {
	switch {
	case p.Scripts["start"] != "" && (p.Scripts["prestart"] != "" || p.Scripts["poststart"] != ""):
		return "npm start", nil
	case p.Scripts["start"] != "":
		return p.Scripts["start"], nil
	}
	for _, file := range []string{p.Main, p.Main + ".js", "server.js"} { // npm init writes a main that need not be there
		if file != "" && file != ".js" && tree.IsFile(root, path.Clean(file)) {
			return "node " + command.Quote(file), nil
		}
	}
	return "", nil
}

func (p *nodePackage) makesSite() bool { return p.Scripts["build"] != "" }

// site is the folder to serve, of those that build scripts make.
func (p *nodePackage) site(root *os.Root) (string, error) {
	folder := staticFolder(root, "dist", "build", "out", "_site", "public", ".")
	if folder == "" {
		return "", errors.New("npm run build left no index.html in dist, build, out, _site or public; " +
			"add a start script to package.json, or a Procfile with a line like `web: node server.js`")
	}
	return folder, nil
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

// build installs what package.json asks for and runs its build script.
func (p *nodePackage) build(ctx context.Context, b *build) error {
	if !p.hasDependencies() && p.Scripts["build"] == "" {
		return nil
	}
	b.step("node")
	env := command.With(b.env, map[string]string{
		"npm_config_cache":           b.cache("npm"),
		"npm_config_update_notifier": "false",
	})
	if p.hasDependencies() {
		if err := p.install(ctx, b, env); err != nil {
			return err
		}
	}
	if p.Scripts["build"] == "" {
		return nil
	}
	if env["NODE_ENV"] == "" {
		env["NODE_ENV"] = "production" // for what is built; what builds it is installed either way
	}
	return b.run(ctx, "npm run build", env, "npm", "run", "--loglevel=error", "build")
}

// install fills node_modules: from the cache where nothing that decides about it has changed,
// else by npm. Development dependencies are installed too, for the build needs them.
func (p *nodePackage) install(ctx context.Context, b *build, env map[string]string) error {
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
	modules, err := p.nodeModules(ctx, b, env, lock)
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
