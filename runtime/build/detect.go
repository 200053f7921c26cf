package build

import (
	"cmp"
	"errors"
	"os"
	"paas/runtime/tree"
)

// plan is what a tree was recognised as: what to build in it, and what to run.
type plan struct {
	kind      string            // "procfile", "node", "go", "python", "start" or "static"
	procfile  bool              // processes come from a Procfile
	processes map[string]string // process type -> command line
	static    string            // folder to serve, where there is no process at all

	node   *nodePackage // package.json; nil where there is none
	golang bool         // go.mod
	python string       // requirements.txt, pyproject.toml or empty
}

// errNothing is what a tree is told in which nothing is recognised.
var errNothing = errors.New("nothing to run was recognised: looked for a Procfile, package.json (scripts.start, main or server.js), " +
	"go.mod, app.py or main.py with requirements.txt or pyproject.toml, an executable bin/start, and index.html or public/index.html; " +
	"add a Procfile with a line like `web: node server.js`")

// detect looks at a checked-out commit, never past its top: a symbolic link in a commit may point
// at another app's files, or the server's.
func detect(root *os.Root) (plan, error) {
	p := plan{processes: map[string]string{}}
	var err error
	if p.node, err = readNodePackage(root); err != nil {
		return plan{}, err
	}
	p.golang = tree.IsFile(root, "go.mod")
	for _, name := range []string{"pyproject.toml", "requirements.txt"} {
		if tree.IsFile(root, name) {
			p.python = name
		}
	}
	if tree.IsFile(root, "Procfile") {
		content, err := tree.Read(root, "Procfile", maxProcfile)
		if err != nil {
			return plan{}, err
		}
		p.processes, err = ParseProcfile(content)
		p.procfile, p.kind = true, p.language()
		return p, err
	}
	if tree.IsFile(root, ".static") {
		return p.marked(root), nil
	}
	if web := p.node.web(root); web != "" {
		p.kind, p.processes["web"] = "node", web
		return p, nil
	}
	if p.golang {
		p.kind, p.processes["web"] = "go", goProgram
		return p, nil
	}
	if p.python != "" {
		p.kind = "python"
		p.processes["web"], err = pythonWeb(root)
		return p, err
	}
	if info, err := root.Stat("bin/start"); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		p.kind, p.processes["web"] = "start", "bin/start"
		return p, nil
	}
	p.kind = "static"
	if p.node.script("build") != "" {
		p.static = "." // what the build makes is looked for after it: see [build.site]
		return p, nil
	}
	if p.static = staticFolder(root, ".", "public"); p.static == "" {
		return plan{}, errNothing
	}
	return p, nil
}

// marked is the plan for a tree with a .static file, which says that it is a site whatever else is in
// it: nothing but a build script of package.json runs, and an index.html is not asked for.
func (p plan) marked(root *os.Root) plan {
	site := plan{kind: "static", static: cmp.Or(staticFolder(root, ".", "public"), "."), processes: p.processes}
	if p.node.script("build") != "" {
		site.node = p.node
	}
	return site
}

// language is the kind of an app with a Procfile: the first language it has a build step of.
func (p plan) language() string {
	switch {
	case p.node != nil:
		return "node"
	case p.golang:
		return "go"
	case p.python != "":
		return "python"
	}
	return "procfile"
}

// staticFolder is the first of folders that has an index.html; empty: none has.
func staticFolder(root *os.Root, folders ...string) string {
	for _, folder := range folders {
		if tree.IsFile(root, folder+"/index.html") {
			return folder
		}
	}
	return ""
}
