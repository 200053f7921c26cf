package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
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
	openUp(root, ".")
	return os.RemoveAll(dir)
}

// openUp opens a folder and those in it to their owner. What cannot be read cannot be removed: the
// removal returns that error. Unlike [os.Root.FS] it knows names that are no UTF-8.
func openUp(root *os.Root, dir string) {
	root.Chmod(dir, 0o700)
	f, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0) // a pipe would block
	if err != nil {
		return
	}
	entries, _ := f.ReadDir(-1)
	f.Close()
	for _, e := range entries {
		if e.IsDir() {
			openUp(root, filepath.Join(dir, e.Name()))
		}
	}
}
