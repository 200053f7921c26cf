package builder

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

var node = language{
	kind:   "node",
	detect: func(root *os.Root) (project, error) { return detectNode(root, false) },
}

var nodeTool = tool{name: "node", install: "Node.js (https://nodejs.org, or the package nodejs)"}

// nodeApp is a tree with a package.json.
type nodeApp struct {
	*nodePackage
	choice
	// the lock file's folder: the tree, or the one above it that lists the workspaces
	lockDir     *os.Root
	lockPackage *nodePackage // of that folder
	shared      bool         // lockDir is not the tree
	runtime     tool         // node or bun, to run a program of which package.json names only the file
}

// detectNode recognises a package.json. byBun selects those whose packages Bun installs, or the
// others.
func detectNode(root *os.Root, byBun bool) (project, error) {
	p, err := readNodePackage(root)
	if p == nil || err != nil || isDeno(root) {
		return nil, err
	}
	app := &nodeApp{nodePackage: p, choice: choose(p, root), lockDir: root, lockPackage: p,
		runtime: nodeTool}
	if (app.by == bunInstaller) != byBun {
		return nil, nil
	}
	if byBun {
		app.runtime = bunTool
		app.runtime.requires, err = app.by.requires(p, root)
		return app, err
	}
	app.runtime.requires, err = nodeRequirements(root, p)
	return app, err
}

// tools includes what a Procfile names. With a Procfile and nothing to install, the app may need no
// Node.
func (a *nodeApp) tools(p *plan) (tools []tool) {
	a.findWorkspace(p.above)
	a.findVersion(p.above)
	installer := a.by.tool
	// an error in a folder above is no error of this app
	installer.requires, _ = a.by.requires(a.lockPackage, a.lockDir)
	if p.runs("node") || p.runs("bun") || p.hasWord(a.runtime.name) {
		tools = append(tools, a.runtime)
	}
	if a.hasDependencies() || a.runsScripts() || p.hasWord(installer.name) {
		tools = append(tools, a.runtime, installer)
	}
	return tools
}

// findWorkspace finds the lock file of a workspace: in the folder above that lists the package.
func (a *nodeApp) findWorkspace(above []*os.Root) {
	for _, folder := range above {
		if a.lock != "" || a.by == bunInstaller {
			return
		}
		parent, err := readNodePackage(folder)
		if err != nil || parent == nil {
			continue
		}
		if isEmpty(parent.fields["workspaces"]) && !tree.IsFile(folder, pnpmWorkspace) {
			continue
		}
		if shared := choose(parent, folder); shared.lock != "" {
			a.choice, a.lockDir, a.lockPackage, a.shared = shared, folder, parent, true
		}
	}
}

// findVersion finds the version of Node in the nearest folder above that asks for one, if the tree
// itself asks for none: version managers look there, too.
func (a *nodeApp) findVersion(above []*os.Root) {
	for _, folder := range above {
		if len(a.runtime.requires) > 0 || a.runtime.name != nodeTool.name {
			return
		}
		parent, err := readNodePackage(folder)
		if err != nil || parent == nil {
			parent = &nodePackage{}
		}
		// an error there is no error of this app
		a.runtime.requires, _ = nodeRequirements(folder, parent)
	}
}

// web returns the start script's own command: npm takes 300 ms to start it and then stays in
// between.
func (a *nodeApp) web(root *os.Root) (string, error) {
	switch {
	case a.Scripts["start"] != "" && (a.Scripts["prestart"] != "" || a.Scripts["poststart"] != ""):
		return a.by.tool.name + " start", nil
	case a.Scripts["start"] != "":
		return a.Scripts["start"], nil
	}
	// npm init writes a main that need not exist
	files := []string{a.Main, a.Main + ".js", "server.js"}
	if a.runtime.name == "bun" {
		// bun init writes a module
		files = []string{a.Module, a.Main, "index.ts", "server.ts", "server.js"}
	}
	for _, file := range files {
		if file != "" && file != ".js" && tree.IsFile(root, path.Clean(file)) {
			return a.runtime.name + " " + cmdline.Quote(file), nil
		}
	}
	return "", nil
}

func (a *nodeApp) makesSite() bool { return a.buildScript() != "" }

// site returns the folder that the build script made.
func (a *nodeApp) site(root *os.Root) (string, error) {
	folder := folderWith(root, "index.html", "dist", "build", "out", "_site", "public", ".")
	if folder == "" {
		problem := fmt.Sprintf("%s run %s left no index.html in dist, build, out, _site or public",
			a.by.tool.name, a.buildScript())
		return "", noWebProcess(problem, "node server.js", "a start script to package.json")
	}
	return folder, nil
}

// build installs the dependencies and runs the build script.
func (a *nodeApp) build(ctx context.Context, b *build) error {
	if !a.hasDependencies() && !a.runsScripts() {
		return nil
	}
	b.step(a.runtime.name)
	for _, note := range a.notes {
		say.Detail(b.job.Out, "%s", note)
	}
	for name, value := range a.by.tool.env { // processes may run the tool too
		b.setEnv(name, value)
	}
	env := cmdline.With(cmdline.With(b.env, a.by.tool.env), a.by.env(b))
	if a.by == npm {
		if v := b.versionOf(ctx, npm.tool); v != nil && v.Major() < 7 {
			env["npm_config_also"] = "dev" // it does not know --include=dev
		}
	}
	if a.by == yarn || a.by == classic {
		if err := useNodeModules(b, a.lockDir, env); err != nil {
			return err
		}
	}
	run := func(script string) error {
		if a.Scripts[script] == "" {
			return nil
		}
		env := maps.Clone(env)
		if env["NODE_ENV"] == "" {
			// for the build's result; devDependencies are installed either way
			env["NODE_ENV"] = "production"
		}
		return b.run(ctx, a.by.tool.name+" run "+script, env,
			append(slices.Clone(a.by.script), script)...)
	}
	if err := run(herokuPrebuild); err != nil {
		return err
	}
	if a.hasDependencies() || a.by == yarn { // yarn run needs an install
		if err := a.install(ctx, b, env); err != nil {
			return err
		}
	}
	if a.shared {
		b.setEnv("PATH", filepath.Join(a.lockDir.Name(), "node_modules", ".bin"))
	}
	if err := run(a.buildScript()); err != nil {
		return err
	}
	return run(herokuCleanup)
}

// install fills node_modules: from the cache if nothing that affects the install has changed, else
// by the installer. It includes devDependencies because the build needs them.
func (a *nodeApp) install(ctx context.Context, b *build, env map[string]string) error {
	run := func(argv []string, more ...string) error {
		return b.run(ctx, argv[0]+" "+argv[1], env, append(slices.Clone(argv), more...)...)
	}
	if a.lock == "" {
		say.Detail(b.job.Out, "no %s: commit one for repeatable and faster builds",
			a.by.locks[len(a.by.locks)-1])
		return run(a.by.loose)
	}
	frozen := slices.Clone(a.by.frozen)
	if a.runsScripts() {
		frozen = append(frozen, a.by.copies...)
	}
	if a.shared {
		say.Detail(b.job.Out,
			"not keeping node_modules for the next build: %s belongs to several packages", a.lock)
		return run(frozen)
	}
	modules, err := a.nodeModules(ctx, b, env)
	if err != nil {
		return err
	}
	// a committed one must go: not every installer starts by emptying it
	restored, err := modules.copy.restore(ctx, b, "node_modules", a.lock, !modules.mayChange())
	if restored || err != nil {
		return err
	}
	if err := run(frozen); err != nil {
		return err
	}
	if reason := modules.reasonNotKept(); reason != "" {
		say.Detail(b.job.Out, "not keeping node_modules for the next build: %s", reason)
		return nil
	}
	return modules.copy.keep(ctx, b.tree, "node_modules", !modules.mayChange())
}
