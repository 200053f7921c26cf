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
	"paas/say"
)

// pythonWeb guesses the web process of an app without a Procfile. It guesses little: which server
// and which application object is the owner's to say.
func pythonWeb(root *os.Root) (string, error) {
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

// buildPython makes a virtual environment with what the app requires. It knows its own path and
// cannot be moved or copied, so it lies in the cache, under a key of what is in it, and builds
// point to it by PATH. It goes when the last build that uses it is gone.
func (b *build) buildPython(ctx context.Context) error {
	if b.plan.python == "" {
		return nil
	}
	say.Step(b.job.Out, "Building (python)")
	version, err := b.toolVersion(ctx, b.env, "python3")
	if err != nil {
		return err
	}
	key, err := b.pythonKey(version)
	if err != nil {
		return err
	}
	if err := b.pruneVenvs(); err != nil {
		return err
	}
	venv := b.cache("venv", key)
	complete := filepath.Join(venv, "complete") // written last
	if _, err := os.Stat(complete); err == nil {
		say.Detail(b.job.Out, "packages of an earlier build (%s has not changed)", b.plan.python)
	} else {
		if err := b.makeVenv(ctx, venv); err != nil {
			return errors.Join(err, os.RemoveAll(venv))
		}
		if err := os.WriteFile(complete, nil, 0o644); err != nil {
			return err
		}
	}
	if err := addUser(venv, b.job.Tree); err != nil {
		return err
	}
	// The tree comes before what was installed: the app's own package may be among that, as it was
	// when the environment was made.
	b.built.Env = map[string]string{"PATH": filepath.Join(venv, "bin"), "VIRTUAL_ENV": venv, "PYTHONPATH": b.job.Tree}
	if isFolder(filepath.Join(b.job.Tree, "src")) {
		b.built.Env["PYTHONPATH"] += ":" + filepath.Join(b.job.Tree, "src")
	}
	return nil
}

func (b *build) makeVenv(ctx context.Context, venv string) error {
	if err := errors.Join(os.RemoveAll(venv), os.MkdirAll(filepath.Dir(venv), 0o755)); err != nil {
		return err
	}
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
	what := []string{"-r", b.plan.python}
	if b.plan.python == "pyproject.toml" {
		what = []string{"."}
	}
	argv := append([]string{filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "--quiet"}, what...)
	return b.run(ctx, "pip install", env, argv...)
}

// pythonKey is made of the interpreter's version and of what pip will read. Requirements that are
// folders are built from the tree, so with one the key is this build's alone.
func (b *build) pythonKey(version string) (string, error) {
	sum := sha256.New()
	part(sum, "python", []byte(version))
	python, err := command.LookPath("python3", b.env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	part(sum, "path", []byte(python))
	if emptied, err := os.ReadFile(b.cache(generation)); err == nil {
		part(sum, generation, emptied)
	}
	files := []string{b.plan.python}
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

// addUser notes that the tree uses the environment.
func addUser(venv, tree string) error {
	f, err := os.OpenFile(venv+usersSuffix, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, tree)
	return errors.Join(err, f.Close())
}

const usersSuffix = ".users"

// pruneVenvs takes away the environments that no build uses any more.
func (b *build) pruneVenvs() error { return Sweep(b.job.Cache) }
