package git

import (
	"os"
	"path"
	"slices"
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
	inside, ok := within(name)
	if !ok {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	file, err := f.Filesystem.Open(inside)
	if err != nil {
		return nil, err
	}
	return named{file, name}, nil
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

// named is an open file that goes by the name that it was opened by: go-git opens a pack again by the
// name of the open one, for each object in it that is larger than 16 KiB.
type named struct {
	billy.File
	name string
}

// Name implements [billy.File].
func (f named) Name() string { return f.name }

// gitView is a repository's folder with the objects that git itself sees in it. Missing are packs
// without an index (git moves the index last to its place, and removes it first; beside such a pack
// go-git reads no object at all) and the quarantines of pushes, into which go-git looks.
type gitView struct{ billy.Filesystem }

// ReadDir implements [billy.Dir].
func (f gitView) ReadDir(name string) ([]os.FileInfo, error) {
	files, err := f.Filesystem.ReadDir(name)
	switch path.Clean(name) {
	case "objects":
		files = slices.DeleteFunc(files, func(file os.FileInfo) bool { return quarantineName(file.Name()) })
	case "objects/pack":
		indexes := map[string]bool{}
		for _, file := range files {
			if pack, ok := strings.CutSuffix(file.Name(), ".idx"); ok {
				indexes[pack] = true
			}
		}
		files = slices.DeleteFunc(files, func(file os.FileInfo) bool {
			pack, ok := strings.CutSuffix(file.Name(), ".pack")
			return ok && !indexes[pack]
		})
	}
	return files, err
}
