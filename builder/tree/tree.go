// Package tree reads files of a checked-out commit, and nothing above it: a symbolic link in a
// commit may point at the files of another app or the server.
package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// IsFile reports whether name is a regular file in tree.
func IsFile(tree *os.Root, name string) bool {
	info, err := tree.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// Read reads a file of at most limit bytes. The error names the file relative to the tree, without
// the server's path.
func Read(tree *os.Root, name string, limit int64) ([]byte, error) {
	f, err := tree.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not block
	if err != nil {
		return nil, plainly(name, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s: not a regular file", name))
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, plainly(name, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s: larger than %d kB", name, limit>>10)
	}
	return content, nil
}

// ReadIf is Read for a file that may be missing; then content is nil. Only a regular file counts.
func ReadIf(tree *os.Root, name string, limit int64) (content []byte, err error) {
	if !IsFile(tree, name) {
		return nil, nil
	}
	return Read(tree, name, limit)
}

// List lists a folder of the tree in no order. Unlike [os.Root.FS] it has names that are no UTF-8.
func List(tree *os.Root, name string) ([]fs.DirEntry, error) {
	f, err := tree.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0) // a pipe must not block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func plainly(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Text returns content without the byte order mark that some editors write.
func Text(content []byte) []byte {
	return []byte(strings.TrimPrefix(string(content), "\ufeff"))
}
