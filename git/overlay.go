package git

import (
	"os"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
)

// objectsDirFS makes an objects folder look like the repository around it, which go-git expects:
// objects/ab/cd... is ab/cd... in the folder, and nothing else exists.
type objectsDirFS struct{ billy.Filesystem }

func insideObjects(name string) (string, bool) {
	name = path.Clean(name)
	if name == "objects" {
		return ".", true
	}
	return strings.CutPrefix(name, "objects/")
}

// Open implements [billy.Basic].
func (f objectsDirFS) Open(name string) (billy.File, error) {
	inside, ok := insideObjects(name)
	if !ok {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	file, err := f.Filesystem.Open(inside)
	if err != nil {
		return nil, err
	}
	return namedFile{file, name}, nil
}

// Stat implements [billy.Basic].
func (f objectsDirFS) Stat(name string) (os.FileInfo, error) {
	if name, ok := insideObjects(name); ok {
		return f.Filesystem.Stat(name)
	}
	return nil, &os.PathError{Op: "stat", Path: name, Err: os.ErrNotExist}
}

// ReadDir implements [billy.Dir].
func (f objectsDirFS) ReadDir(name string) ([]os.FileInfo, error) {
	if name, ok := insideObjects(name); ok {
		return f.Filesystem.ReadDir(name)
	}
	return nil, &os.PathError{Op: "readdir", Path: name, Err: os.ErrNotExist}
}

// namedFile is a file that reports the name it was opened with. go-git reopens a pack by that name
// for each object larger than 16 KiB.
type namedFile struct {
	billy.File
	name string
}

// Name implements [billy.File].
func (f namedFile) Name() string { return f.name }

// gitVisibleFS is a repository's folder with only the objects that git itself sees. It hides packs
// without an index (git adds the index last and removes it first; go-git would fail on such a pack)
// and the quarantines of pushes, which go-git would search.
type gitVisibleFS struct{ billy.Filesystem }

// ReadDir implements [billy.Dir].
func (f gitVisibleFS) ReadDir(name string) ([]os.FileInfo, error) {
	files, err := f.Filesystem.ReadDir(name)
	switch path.Clean(name) {
	case "objects":
		files = slices.DeleteFunc(files,
			func(file os.FileInfo) bool { return isQuarantine(file.Name()) })
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
