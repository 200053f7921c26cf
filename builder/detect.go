package builder

import (
	"cmp"
	"errors"
	"os"

	"paas/builder/tree"
)

// plan is what a tree was recognised as: what to build in it, and what to run.
type plan struct {
	kind      string            // of a language, or "procfile", "start", "static"
	procfile  bool              // processes come from a Procfile
	processes map[string]string // process type -> command line
	static    string            // folder to serve, where there is no process at all; what maker makes goes before it
	maker     siteMaker         // makes that folder; nil: it is in the commit
	projects  []project         // what to build, in order
	above     []*os.Root        // the folders that the tree is in, up to the top of the commit, nearest first
}

// runs says whether the web process is that of the given kind because nothing else was said.
func (p *plan) runs(kind string) bool { return !p.procfile && p.kind == kind }

// errNothing is what a tree is told in which nothing is recognised.
var errNothing = errors.New("nothing to run was recognised: looked for a Procfile, package.json (scripts.start, main or server.js), " +
	"go.mod or a main package in Go, deno.json, app.py or main.py with requirements.txt or pyproject.toml, " +
	"config.ru or app.rb, composer.json, index.php or public/index.php, pom.xml, build.gradle, Cargo.toml, a project of .NET, an executable bin/start, and index.html or public/index.html; " +
	"add a Procfile with a line like `web: node server.js`")

// detect looks at a checked-out commit, never past its top: a symbolic link in a commit may point
// at another app's files, or the server's.
func detect(root *os.Root, above ...*os.Root) (*plan, error) {
	p := &plan{processes: map[string]string{}, above: above}
	var kinds []string // of p.projects
	for _, l := range languages {
		found, err := l.detect(root)
		if err != nil {
			return nil, err
		}
		if found != nil {
			p.projects, kinds = append(p.projects, found), append(kinds, l.kind)
		}
	}
	if tree.IsFile(root, "Procfile") {
		content, err := tree.Read(root, "Procfile", maxProcfile)
		if err != nil {
			return nil, err
		}
		p.processes, err = ParseProcfile(content)
		p.procfile, p.kind = true, append(kinds, "procfile")[0]
		return p, err
	}
	if tree.IsFile(root, ".static") {
		return p.marked(root), nil
	}
	return p, p.guess(root, kinds)
}

// guess finds what answers requests where no Procfile says it.
func (p *plan) guess(root *os.Root, kinds []string) error {
	var unclear error // of the first language that wants to be told more
	for i, found := range p.projects {
		line, err := found.web(root)
		if line != "" {
			p.kind, p.processes["web"] = kinds[i], line
			return nil
		}
		if unclear == nil {
			unclear = err
		}
	}
	if info, err := root.Stat("bin/start"); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		p.kind, p.processes["web"] = "start", "bin/start"
		return nil
	}
	if unclear != nil {
		return unclear
	}
	p.kind = "static"
	for _, found := range p.projects {
		if maker, ok := found.(siteMaker); ok && maker.makesSite() {
			p.static, p.maker = ".", maker
			return nil
		}
	}
	if p.static = staticFolder(root, ".", "public"); p.static == "" {
		return errNothing
	}
	return nil
}

// marked is the plan for a tree with a .static file, which says that it is a site whatever else is in
// it: nothing but what makes a site is built, and an index.html is not asked for.
func (p *plan) marked(root *os.Root) *plan {
	site := &plan{kind: "static", static: cmp.Or(staticFolder(root, ".", "public"), "."), processes: p.processes, above: p.above}
	for _, found := range p.projects {
		if maker, ok := found.(siteMaker); ok && maker.makesSite() {
			site.maker, site.projects = maker, []project{found}
			break
		}
	}
	return site
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
