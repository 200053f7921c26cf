package git

import (
	"os"
	"path"
	"strings"

	"github.com/go-git/go-billy/v5"
)

// overObjects shows an objects folder as the repository around it, which go-git wants to be given:
// objects/ab/cd... is ab/cd... of the folder, and nothing else is there.
type overObjects struct{ billy.Filesystem }

func within(name string) (string, bool) {
	name = path.Clean(name)
	if name == "objects" {
		return ".", true
	}
	return strings.CutPrefix(name, "objects/")
}

// Open implements [billy.Basic].
func (f overObjects) Open(name string) (billy.File, error) {
	if name, ok := within(name); ok {
		return f.Filesystem.Open(name)
	}
	return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
}

// Stat implements [billy.Basic].
func (f overObjects) Stat(name string) (os.FileInfo, error) {
	if name, ok := within(name); ok {
		return f.Filesystem.Stat(name)
	}
	return nil, &os.PathError{Op: "stat", Path: name, Err: os.ErrNotExist}
}

// ReadDir implements [billy.Dir].
func (f overObjects) ReadDir(name string) ([]os.FileInfo, error) {
	if name, ok := within(name); ok {
		return f.Filesystem.ReadDir(name)
	}
	return nil, &os.PathError{Op: "readdir", Path: name, Err: os.ErrNotExist}
}
