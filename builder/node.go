package builder

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

var node = language{kind: "node", detect: func(root *os.Root) (project, error) { return detectNode(root, false) }}

var nodeTool = tool{name: "node", install: "install Node.js (https://nodejs.org, or the package nodejs)"}

// nodeApp is a tree with a package.json.
type nodeApp struct {
	*nodePackage
	choice
	has     *os.Root // where the lock file is: the tree, or the repository's top where workspaces share one
	shared  bool     // it is there
	runtime tool     // that programs run by where package.json names only a file: node or bun
}

// detectNode finds a package.json that Bun installs, or another tool.
func detectNode(root *os.Root, byBun bool) (project, error) {
	p, err := readNodePackage(root)
	if p == nil || err != nil || isDeno(root) {
		return nil, err
	}
	app := &nodeApp{nodePackage: p, choice: choose(p, root), has: root, runtime: nodeTool}
	if (app.by == bunInstaller) != byBun {
		return nil, nil
	}
	if byBun {
		app.runtime = bunTool
	}
	app.runtime.wishes, err = app.runtimeWishes(root)
	return app, err
}

func (a *nodeApp) runtimeWishes(root *os.Root) ([]wish, error) {
	if a.by == bunInstaller {
		return a.by.wishes(a.nodePackage, root), nil
	}
	return nodeWishes(root, a.nodePackage)
}

// tools are also needed where a Procfile names them; it may name what needs neither.
func (a *nodeApp) tools(p *plan) (tools []tool) {
	a.look(p.above)
	installer := a.by.tool
	installer.wishes = a.by.wishes(a.nodePackage, a.has)
	named := func(name string) bool {
		for _, line := range p.processes {
			if words := strings.Fields(line); len(words) > 0 && words[0] == name {
				return true
			}
		}
		return false
	}
	if p.runs("node") || p.runs("bun") || named(a.runtime.name) {
		tools = append(tools, a.runtime)
	}
	if a.hasDependencies() || a.Scripts["build"] != "" {
		tools = append(tools, a.runtime, installer)
	} else if named(installer.name) {
		tools = append(tools, installer)
	}
	return tools
}

// look finds the lock file of a workspace: it is above the package, in the folder that lists it.
func (a *nodeApp) look(above []*os.Root) {
	for _, folder := range above {
		if a.lock != "" || a.by == bunInstaller {
			return
		}
		parent, err := readNodePackage(folder)
		if err != nil || parent == nil || isEmpty(parent.fields["workspaces"]) && !tree.IsFile(folder, "pnpm-workspace.yaml") {
			continue
		}
		if shared := choose(parent, folder); shared.lock != "" {
			a.choice, a.has, a.shared = shared, folder, true
		}
	}
}

// web is the start script itself: npm takes 300 ms to start it, and then stays in between.
func (a *nodeApp) web(root *os.Root) (string, error) {
	switch {
	case a.Scripts["start"] != "" && (a.Scripts["prestart"] != "" || a.Scripts["poststart"] != ""):
		return a.by.tool.name + " start", nil
	case a.Scripts["start"] != "":
		return a.Scripts["start"], nil
	}
	files := []string{a.Main, a.Main + ".js", "server.js"} // npm init writes a main that need not be there
	if a.runtime.name == "bun" {
		files = []string{a.Module, a.Main, "index.ts", "server.ts", "server.js"} // bun init writes a module
	}
	for _, file := range files {
		if file != "" && file != ".js" && tree.IsFile(root, path.Clean(file)) {
			return a.runtime.name + " " + cmdline.Quote(file), nil
		}
	}
	return "", nil
}

func (a *nodeApp) makesSite() bool { return a.Scripts["build"] != "" }

// site is the folder to serve, of those that build scripts make.
func (a *nodeApp) site(root *os.Root) (string, error) {
	folder := staticFolder(root, "dist", "build", "out", "_site", "public", ".")
	if folder == "" {
		return "", fmt.Errorf("%s run build left no index.html in dist, build, out, _site or public; "+
			"add a start script to package.json, or a Procfile with a line like `web: node server.js`", a.by.tool.name)
	}
	return folder, nil
}

// build installs what package.json asks for and runs its build script.
func (a *nodeApp) build(ctx context.Context, b *build) error {
	if !a.hasDependencies() && a.Scripts["build"] == "" {
		return nil
	}
	b.step(a.kind())
	for _, note := range a.notes {
		say.Detail(b.job.Out, "%s", note)
	}
	for name, value := range a.by.tool.env { // its commands may be among the processes
		b.setEnv(name, value)
	}
	env := cmdline.With(cmdline.With(b.env, a.by.tool.env), a.by.env(b))
	if slices.Contains([]*installer{yarn, classic}, a.by) {
		if err := asModules(b, a.has, env); err != nil {
			return err
		}
	}
	if a.hasDependencies() || a.by == yarn { // whose run wants to see an install
		if err := a.install(ctx, b, env); err != nil {
			return err
		}
	}
	if a.shared {
		b.setEnv("PATH", filepath.Join(a.has.Name(), "node_modules", ".bin"))
	}
	if a.Scripts["build"] == "" {
		return nil
	}
	if env["NODE_ENV"] == "" {
		env["NODE_ENV"] = "production" // for what is built; what builds it is installed either way
	}
	return b.run(ctx, a.by.tool.name+" run build", env, append(slices.Clone(a.by.script), "build")...)
}

func (a *nodeApp) kind() string {
	if a.by == bunInstaller {
		return "bun"
	}
	return "node"
}

// install fills node_modules: from the cache where nothing that decides about it has changed,
// else by the installer. Development dependencies are installed too, for the build needs them.
func (a *nodeApp) install(ctx context.Context, b *build, env map[string]string) error {
	run := func(argv []string, more ...string) error {
		return b.run(ctx, argv[0]+" "+argv[1], env, append(slices.Clone(argv), more...)...)
	}
	if a.lock == "" {
		say.Detail(b.job.Out, "no %s: commit one, and installs are the same each time, and kept between pushes", a.by.locks[len(a.by.locks)-1])
		return run(a.by.loose)
	}
	frozen := slices.Clone(a.by.frozen)
	if a.Scripts["build"] != "" {
		frozen = append(frozen, a.by.copies...)
	}
	if a.shared {
		say.Detail(b.job.Out, "node_modules is not kept for the next build: %s is that of several packages", a.lock)
		return run(frozen)
	}
	modules, err := a.nodeModules(ctx, b, env)
	if err != nil {
		return err
	}
	if modules.kept() {
		say.Detail(b.job.Out, "node_modules of an earlier build (%s has not changed)", a.lock)
		return modules.restore(ctx)
	}
	if err := b.tree.RemoveAll("node_modules"); err != nil { // committed by mistake; not every installer starts anew
		return err
	}
	if err := run(frozen); err != nil {
		return err
	}
	if reason := modules.unfit(); reason != "" {
		say.Detail(b.job.Out, "node_modules is not kept for the next build: %s", reason)
		return nil
	}
	return modules.keep(ctx)
}
