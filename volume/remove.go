package volume

import (
	"errors"
	"io/fs"
	"os"
)

// removeAll is [os.RemoveAll] that also removes folders whose mode forbids that to their owner,
// such as those of Go's module cache. It follows no links out of the tree.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	root, rootErr := os.OpenRoot(dir)
	if rootErr != nil {
		os.Chmod(dir, 0o700) // its owner may open it
		if root, rootErr = os.OpenRoot(dir); rootErr != nil {
			return err
		}
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() { // before it is read
			root.Chmod(path, 0o700)
		}
		return nil // what cannot be read cannot be removed: that is the error then
	})
	return os.RemoveAll(dir)
}
