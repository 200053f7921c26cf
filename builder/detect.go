package builder

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"paas/builder/tree"
	"paas/formation"
)

// plan says what to build in a tree and what to run.
type plan struct {
	kind      string            // the kind of a language, or "procfile", "start", "static"
	procfile  bool              // processes come from a Procfile
	processes map[string]string // process type -> command line
	static    string            // folder to serve, if there are no processes
	maker     siteMaker         // makes the folder to serve; nil: it is in the commit
	projects  []project         // what to build, in order
	above     []*os.Root        // folders above the tree up to the top of the commit, nearest first
}

// runs reports whether kind provides the web process, without a Procfile.
func (p *plan) runs(kind string) bool { return !p.procfile && p.kind == kind }

// noWebProcess says why the web process is unknown, and that a Procfile with the given command
// line, or one of the alternatives, would help.
func noWebProcess(problem, line string, alternatives ...string) error {
	add := append(alternatives, "a Procfile with a line like `web: "+line+"`")
	return fmt.Errorf("%s; add %s", problem, strings.Join(add, ", or "))
}

// detect decides what to build and run. It never reads past the top of the commit: a symbolic link
// in a commit may point at the files of another app or the server.
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
	content, err := tree.ReadIf(root, "Procfile", formation.MaxProcfile)
	if err != nil {
		return nil, err
	}
	if content != nil {
		p.processes, err = formation.ParseProcfile(content)
		p.procfile, p.kind = true, append(kinds, "procfile")[0]
		return p, err
	}
	if tree.IsFile(root, ".static") {
		return p.markedStatic(root), nil
	}
	return p, p.guess(root, kinds)
}

// guess finds what answers requests if there is no Procfile.
func (p *plan) guess(root *os.Root, kinds []string) error {
	var unclear error // what the first language needs to know
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
	if err := startScript(root); err != nil {
		return err
	}
	if isProgram(root, "bin/start") {
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
	if p.static = folderWith(root, "index.html", ".", "public"); p.static == "" {
		return errNothing
	}
	return nil
}

// markedStatic is the plan for a tree with a .static file, which marks a static site whatever else
// the tree contains. It builds only what makes a site, and needs no index.html.
func (p *plan) markedStatic(root *os.Root) *plan {
	site := &plan{
		kind: "static", static: cmp.Or(folderWith(root, "index.html", ".", "public"), "."),
		processes: p.processes, above: p.above,
	}
	for _, found := range p.projects {
		if maker, ok := found.(siteMaker); ok && maker.makesSite() {
			site.maker, site.projects = maker, []project{found}
			break
		}
	}
	return site
}

// folderWith returns the first of the folders that contains a file of that name, or "".
func folderWith(root *os.Root, file string, folders ...string) string {
	for _, folder := range folders {
		if tree.IsFile(root, folder+"/"+file) {
			return folder
		}
	}
	return ""
}
