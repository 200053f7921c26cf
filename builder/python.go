package builder

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

var python = language{kind: "python", detect: func(root *os.Root) (project, error) {
	for _, by := range packagers {
		if by.lock != "" && tree.IsFile(root, by.lock) || by.lock == "" && tree.IsFile(root, by.file) {
			wishes, err := pythonWishes(root)
			return pythonApp{by, wishes}, err
		}
	}
	return nil, nil
}}

// pythonApp is a tree that says what it requires of Python's packages.
type pythonApp struct {
	by     *packager
	wishes []wish
}

var pythonTool = tool{name: "python3", install: "install Python 3 (the packages python3 and python3-venv)"}

func (p pythonApp) tools(*plan) []tool {
	interpreter := pythonTool
	interpreter.wishes = p.wishes
	if p.by.tool.name == "" {
		return []tool{interpreter}
	}
	return []tool{interpreter, p.by.tool}
}

// web guesses little: which server and which application object is the owner's to say.
func (pythonApp) web(root *os.Root) (string, error) {
	for _, file := range []string{"app.py", "main.py"} {
		if tree.IsFile(root, file) {
			return "python " + file, nil
		}
	}
	if tree.IsFile(root, "manage.py") {
		return "", errors.New("a Django project: add a Procfile with a line like `web: gunicorn NAME.wsgi --bind 127.0.0.1:$PORT`")
	}
	return "", errors.New("a Python app without app.py or main.py: add a Procfile with a line like `web: gunicorn app:app --bind 127.0.0.1:$PORT`")
}

// build makes a virtual environment with what the app requires. Builds with the
// same requirements share it, and find it by PATH.
func (p pythonApp) build(ctx context.Context, b *build) error {
	b.step("python")
	for _, other := range packagers {
		if other.lock == "" && other.file == "requirements.txt" && p.by.lock != "" && tree.IsFile(b.tree, other.file) {
			say.Detail(b.job.Out, "%s is not used: %s decides", other.file, p.by.lock)
		}
	}
	key, err := p.key(ctx, b)
	if err != nil {
		return err
	}
	venv := b.shared("venv", key)
	there := fmt.Sprintf("packages of an earlier build (%s has not changed)", cmp.Or(p.by.lock, p.by.file))
	if err := b.share(venv, there, func() error { return p.makeVenv(ctx, b, venv) }); err != nil {
		return err
	}
	// The tree comes before what was installed: the app's own package may be among that, as it was
	// when the environment was made.
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
	if err := b.run(ctx, "python3 -m venv", env, "python3", "-m", "venv", venv); err != nil {
		return err
	}
	argv := slices.Clone(p.by.install)
	if argv[0] == "python" {
		argv[0] = filepath.Join(venv, "bin", "python")
	}
	return b.run(ctx, p.by.says, env, argv...)
}

// key is made of the interpreter's version and of what the packager will read. What is built from folders of
// the tree is another each time, so with one the key is this build's alone.
func (p pythonApp) key(ctx context.Context, b *build) (string, error) {
	sum := sha256.New()
	tools := []string{"python3"}
	if p.by.tool.name != "" {
		tools = append(tools, p.by.tool.name)
	}
	for _, name := range tools {
		version, err := b.toolVersion(ctx, b.env, name)
		if err != nil {
			return "", err
		}
		part(sum, name, []byte(version))
	}
	python, err := cmdline.LookPath("python3", b.env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	part(sum, "path", []byte(python))
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
		part(sum, name, content)
		local := false
		switch {
		case p.by.local != nil:
			local = p.by.local.Match(content)
		case name != "pyproject.toml":
			var more []string
			more, local = requirements(content)
			for _, file := range more {
				files = append(files, path.Join(path.Dir(name), file)) // relative to the file that names it
			}
		}
		if local {
			part(sum, "tree", []byte(b.job.Tree))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// requirements finds in a requirements file the files it includes, and whether it asks for
// anything in the tree itself (https://pip.pypa.io/en/stable/reference/requirements-file-format).
func requirements(content []byte) (files []string, local bool) {
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		words := strings.Fields(strings.NewReplacer("=", " = ").Replace(lines.Text()))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch option := words[0]; {
		case option == "-r" || option == "-c" || option == "--requirement" || option == "--constraint":
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
