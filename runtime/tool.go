package runtime

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paas/say"
)

// lookPath finds the program called name as the kernel will: in the folders of path, or, where
// name has a slash, below dir. os/exec looks in the server's own PATH, which is not the app's.
func lookPath(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return "", err
		case info.IsDir() || info.Mode()&0o111 == 0:
			return "", &fs.PathError{Op: "run", Path: name, Err: fmt.Errorf("not an executable file")}
		}
		return name, nil
	}
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(dir, folder)
		}
		file := filepath.Join(folder, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not found in PATH", name)
}

// installs is what to do about a missing tool.
var installs = map[string]string{
	"node":    "install Node.js (https://nodejs.org, or the package nodejs)",
	"npm":     "install npm (it comes with https://nodejs.org, or the package npm)",
	"go":      "install Go (https://go.dev/dl, or the package golang)",
	"python3": "install Python 3 (the packages python3 and python3-venv)",
}

// program is a tool's file as it was when its version was asked.
type program struct {
	path    string
	size    int64
	changed int64 // nanoseconds
}

// version is what `path --version` prints, remembered while the file stays the same: asking node
// costs 40 ms. A script is asked each time, as it may be a version manager's that looks around.
func (l *Local) version(ctx context.Context, env map[string]string, dir, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	key := program{path, info.Size(), info.ModTime().UnixNano()}
	l.mu.Lock()
	known, ok := l.versions[key]
	l.mu.Unlock()
	if ok {
		return known, nil
	}
	var out bytes.Buffer
	bounded := say.NewBounded(&out, 1<<10, 1)
	if err := l.runToEnd(ctx, command{argv: []string{path, "--version"}, dir: dir, env: env, out: bounded}); err != nil {
		return "", fmt.Errorf("%s --version: %w", filepath.Base(path), err)
	}
	version := strings.TrimSpace(out.String())
	if !isScript(path) {
		l.mu.Lock()
		l.versions[key] = version
		l.mu.Unlock()
	}
	return version, nil
}

func isScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	start := make([]byte, 2)
	_, err = io.ReadFull(f, start)
	return err != nil || string(start) == "#!"
}
