package build

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"paas/runtime/command"
	"paas/runtime/tree"
)

var python = language{kind: "python", detect: func(root *os.Root) (project, error) {
	for _, name := range []string{"requirements.txt", "pyproject.toml"} {
		if tree.IsFile(root, name) {
			return pythonApp{file: name}, nil
		}
	}
	return nil, nil
}}

// pythonApp is a tree that says what it requires of Python's packages.
type pythonApp struct {
	file string // requirements.txt or pyproject.toml
}

var pythonTool = tool{name: "python3", install: "install Python 3 (the packages python3 and python3-venv)"}

func (pythonApp) tools(*plan) []tool { return []tool{pythonTool} }

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
	version, err := b.toolVersion(ctx, b.env, "python3")
	if err != nil {
		return err
	}
	key, err := p.key(b, version)
	if err != nil {
		return err
	}
	venv := b.cache("venv", key)
	there := fmt.Sprintf("packages of an earlier build (%s has not changed)", p.file)
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
	env := command.With(b.env, map[string]string{
		"PIP_CACHE_DIR":                 b.cache("pip"),
		"PIP_DISABLE_PIP_VERSION_CHECK": "1",
		"PIP_NO_INPUT":                  "1",
		"PIP_PROGRESS_BAR":              "off",
		"PIP_ROOT_USER_ACTION":          "ignore",
	})
	if err := b.run(ctx, "python3 -m venv", env, "python3", "-m", "venv", venv); err != nil {
		return err
	}
	what := []string{"-r", p.file}
	if p.file == "pyproject.toml" {
		what = []string{"."}
	}
	argv := append([]string{filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "--quiet"}, what...)
	return b.run(ctx, "pip install", env, argv...)
}

// key is made of the interpreter's version and of what pip will read. Requirements that are
// folders are built from the tree, so with one the key is this build's alone.
func (p pythonApp) key(b *build, version string) (string, error) {
	sum := sha256.New()
	part(sum, "python", []byte(version))
	python, err := command.LookPath("python3", b.env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	part(sum, "path", []byte(python))
	files := []string{p.file}
	for read := map[string]bool{}; len(files) > 0; files = files[1:] {
		name := path.Clean(files[0])
		if read[name] {
			continue
		}
		read[name] = true
		content, err := tree.Read(b.tree, name, 4<<20)
		if err != nil {
			return "", err
		}
		part(sum, name, content)
		if name == "pyproject.toml" {
			continue
		}
		more, local := requirements(content)
		for _, file := range more {
			files = append(files, path.Join(path.Dir(name), file)) // relative to the file that names it
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
