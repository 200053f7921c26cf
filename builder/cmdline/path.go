package cmdline

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Find sets the path of a command that has none, by its first argument, environment and folder.
func Find(cmd *exec.Cmd) (err error) {
	if cmd.Path != "" {
		return nil
	}
	path := ""
	for _, variable := range cmd.Env {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			path = value
		}
	}
	cmd.Path, err = LookPath(cmd.Args[0], path, cmd.Dir)
	return err
}

// MovePath returns text with the path to in place of the path from, also where that begins another
// path. It leaves out what is a part of another name.
func MovePath(text, from, to string) string {
	var moved strings.Builder
	done, at := 0, 0
	for {
		next := strings.Index(text[at:], from)
		if next < 0 {
			moved.WriteString(text[done:])
			return moved.String()
		}
		begin := at + next
		at = begin + len(from)
		isPart := begin > 0 && (text[begin-1] == '/' || inName(text[begin-1])) ||
			at < len(text) && inName(text[at])
		if !isPart {
			moved.WriteString(text[done:begin] + to)
			done = at
		}
	}
}

// inName reports whether a byte is likely to be in the name of a file.
func inName(c byte) bool {
	return PlainByte(c) && !strings.ContainsRune("/:=,%@+", rune(c)) || c >= 0x80
}

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
		case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
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
		info, err := os.Stat(file)
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", &fs.PathError{
		Op: "run", Path: name, Err: notRunnable{"not found in PATH", fs.ErrNotExist},
	}
}

// notRunnable is an error with a clearer text than the kind of error it wraps.
type notRunnable struct {
	text string
	kind error
}

func (e notRunnable) Error() string { return e.text }
func (e notRunnable) Unwrap() error { return e.kind }
