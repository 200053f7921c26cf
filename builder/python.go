package builder

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

var python = language{kind: "python", detect: func(root *os.Root) (project, error) {
	for _, by := range packagers {
		if tree.IsFile(root, cmp.Or(by.lock, by.file)) {
			requires, err := pythonRequirements(root)
			return pythonApp{by, requires}, err
		}
	}
	return nil, nil
}}

// pythonApp is a tree with a file that lists Python packages.
type pythonApp struct {
	by       *packager
	requires []requirement
}

var pythonTool = tool{
	name:    "python3",
	install: "Python 3 (the packages python3 and python3-venv, or uv python install)",
}

var pythonName = regexp.MustCompile(`^python3\.\d+$`)

// pythons returns the Pythons of this server: those on PATH, a version manager's, and uv's.
func (p pythonApp) pythons(ctx context.Context, b *build) []string {
	paths := append(b.onPath(pythonName), b.managed("python", "python3")...)
	for _, r := range p.requires {
		env := cmdline.With(b.env, map[string]string{"UV_PYTHON_DOWNLOADS": "never"})
		if found, err := b.capture(ctx, b.job.Tree, env, "uv", "python", "find", r.text); err == nil {
			paths = append(paths, found)
		}
	}
	return paths
}

func (p pythonApp) tools(*plan) []tool {
	interpreter := pythonTool
	interpreter.requires = p.requires
	interpreter.others = p.pythons
	if p.by.tool.name == "" {
		return []tool{interpreter}
	}
	return []tool{interpreter, p.by.tool}
}

// web guesses little: the owner must name the server and the application object.
func (pythonApp) web(root *os.Root) (string, error) {
	for _, file := range []string{"app.py", "main.py"} {
		if tree.IsFile(root, file) {
			return "python " + file, nil
		}
	}
	if tree.IsFile(root, "manage.py") {
		return "", noWebProcess("Django project", "gunicorn NAME.wsgi --bind 127.0.0.1:$PORT")
	}
	return "", noWebProcess("Python app without app.py or main.py",
		"gunicorn app:app --bind 127.0.0.1:$PORT")
}

// build makes a virtual environment with the packages. Builds with the same packages share it, and
// find it through PATH.
func (p pythonApp) build(ctx context.Context, b *build) error {
	b.step("python")
	if p.by.lock != "" && tree.IsFile(b.tree, "requirements.txt") {
		say.Detail(b.job.Out, "ignoring requirements.txt: %s takes precedence", p.by.lock)
	}
	key, err := p.key(ctx, b)
	if err != nil {
		return err
	}
	venv := b.shared("venv", key)
	err = b.share(venv, "packages", cmp.Or(p.by.lock, p.by.file),
		func() error { return p.makeVenv(ctx, b, venv) })
	if err != nil {
		return err
	}
	// the tree comes first: the environment may contain an older version of the app's own package
	path := b.job.Tree
	if src := filepath.Join(b.job.Tree, "src"); isFolder(src) {
		path += ":" + src
	}
	b.setEnv("PATH", filepath.Join(venv, "bin"))
	b.setEnv("VIRTUAL_ENV", venv)
	b.setEnv("PYTHONPATH", path)
	return nil
}

func (p pythonApp) makeVenv(ctx context.Context, b *build, venv string) error {
	env := cmdline.With(b.env, p.by.env(b, venv))
	err := b.run(ctx, "python3 -m venv", env, b.program("python3"), "-m", "venv", venv)
	if err != nil {
		return err
	}
	argv := slices.Clone(p.by.install)
	if argv[0] == "python" {
		argv[0] = filepath.Join(venv, "bin", "python")
	}
	return b.run(ctx, p.by.shown, env, argv...)
}

// key hashes the interpreter and the files that the packager reads. A package that is a folder of
// the tree differs for each build, so it makes the key unique to this build.
func (p pythonApp) key(ctx context.Context, b *build) (string, error) {
	tools := []string{b.program("python3")}
	if p.by.tool.name != "" {
		tools = append(tools, p.by.tool.name)
	}
	key, err := b.newCacheKey(ctx, b.env, tools...)
	if err != nil {
		return "", err
	}
	python, err := cmdline.LookPath(b.program("python3"), b.env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	key.add("path", []byte(python))
	files := []string{p.by.file}
	if p.by.lock != "" {
		files = append(files, p.by.lock)
	}
	for read := map[string]bool{}; len(files) > 0; files = files[1:] {
		name := path.Clean(files[0])
		if read[name] {
			continue
		}
		read[name] = true
		content, err := tree.Read(b.tree, name, 16<<20)
		if err != nil {
			return "", err
		}
		key.add(name, content)
		local := false
		switch {
		case p.by.local != nil:
			local = p.by.local.Match(content)
		case name != "pyproject.toml":
			var more []string
			more, local = requirements(content)
			for _, file := range more {
				// relative to the file that names it
				files = append(files, path.Join(path.Dir(name), file))
			}
		}
		if local {
			key.add("tree", []byte(b.job.Tree))
		}
	}
	return key.String(), nil
}

// pythonRequirements returns the Python versions that a tree requires: in .python-version, which
// pyenv and uv read too, and in runtime.txt
// (https://devcenter.heroku.com/articles/python-runtimes).
func pythonRequirements(root *os.Root) ([]requirement, error) {
	const prefix, digits = "python-", 2
	first, err := versionFile(root, ".python-version", prefix, digits)
	if err != nil {
		return nil, err
	}
	second, err := versionFile(root, "runtime.txt", prefix, digits)
	return append(first, second...), err
}

// requirements returns the files that a requirements file includes. local reports whether it
// installs something from the tree
// (https://pip.pypa.io/en/stable/reference/requirements-file-format).
func requirements(content []byte) (files []string, local bool) {
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		words := strings.Fields(strings.NewReplacer("=", " = ").Replace(lines.Text()))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch option := words[0]; {
		case option == "-r" || option == "-c" || option == "--requirement" ||
			option == "--constraint":
			if file := strings.TrimPrefix(strings.Join(words[1:], ""), "="); file != "" {
				files = append(files, file)
			}
		case strings.HasPrefix(option, "-r") || strings.HasPrefix(option, "-c"):
			files = append(files, option[2:])
		case strings.HasPrefix(option, "-e") || strings.HasPrefix(option, "--editable"),
			strings.HasPrefix(option, ".") || strings.HasPrefix(option, "/"),
			strings.Contains(lines.Text(), "file:"):
			local = true
		}
	}
	return files, local
}
