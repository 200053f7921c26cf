package runtime

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
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
func detect(tree *os.Root) (plan, error) {
	p := plan{processes: map[string]string{}}
	var err error
	if p.node, err = readNodePackage(tree); err != nil {
		return plan{}, err
	}
	p.golang = isFile(tree, "go.mod")
	for _, name := range []string{"pyproject.toml", "requirements.txt"} {
		if isFile(tree, name) {
			p.python = name
		}
	}
	if isFile(tree, "Procfile") {
		content, err := readTree(tree, "Procfile", maxProcfile)
		if err != nil {
			return plan{}, err
		}
		p.processes, err = ParseProcfile(content)
		p.procfile, p.kind = true, p.language()
		return p, err
	}
	if web := p.node.web(tree); web != "" {
		p.kind, p.processes["web"] = "node", web
		return p, nil
	}
	if p.golang {
		p.kind, p.processes["web"] = "go", goProgram
		return p, nil
	}
	if p.python != "" {
		p.kind = "python"
		p.processes["web"], err = pythonWeb(tree)
		return p, err
	}
	if info, err := tree.Stat("bin/start"); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		p.kind, p.processes["web"] = "start", "bin/start"
		return p, nil
	}
	p.kind = "static"
	if p.node.script("build") != "" {
		p.static = "." // what the build makes is looked for after it: see [build.site]
		return p, nil
	}
	if p.static = staticFolder(tree, "."); p.static == "" {
		p.static = staticFolder(tree, "public")
	}
	if p.static == "" {
		return plan{}, errNothing
	}
	return p, nil
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
func staticFolder(tree *os.Root, folders ...string) string {
	for _, folder := range folders {
		if isFile(tree, folder+"/index.html") {
			return folder
		}
	}
	return ""
}

func isFile(tree *os.Root, name string) bool {
	info, err := tree.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// readTree reads a file of at most limit bytes.
func readTree(tree *os.Root, name string, limit int64) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, plainly(name, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, plainly(name, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s: larger than %d kB", name, limit>>10)
	}
	return content, nil
}

// plainly is err about the file as its owner knows it, without the server's path.
func plainly(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// jsonText is content without the byte order mark that some editors put in front.
func jsonText(content []byte) []byte {
	return []byte(strings.TrimPrefix(string(content), "\ufeff"))
}
