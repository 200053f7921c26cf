package cmdline

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// LookPath finds the program called name in the folders of path or, if name contains a slash,
// relative to dir. [os/exec.LookPath] would use the server's PATH instead of the app's. The error
// is [fs.ErrNotExist], or [fs.ErrPermission] if the file cannot be run.
func LookPath(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return "", err
		case info.IsDir() || info.Mode()&0o111 == 0:
			err := notRunnable{"not an executable file", fs.ErrPermission}
			return "", &fs.PathError{Op: "run", Path: name, Err: err}
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
	return "", notRunnable{name + ": not found in PATH", fs.ErrNotExist}
}

// notRunnable is an error with a clearer text than the kind of error it wraps.
type notRunnable struct {
	text string
	kind error
}

func (e notRunnable) Error() string { return e.text }
func (e notRunnable) Unwrap() error { return e.kind }
