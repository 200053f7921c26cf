// Package tree reads files of a checked-out commit, never past its top: a symbolic link in a commit
// may point at another app's files, or the server's.
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

// IsFile says whether name is a regular file in tree.
func IsFile(tree *os.Root, name string) bool {
	info, err := tree.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// Read reads a file of at most limit bytes. Its error names the file as its owner knows it, without
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

func plainly(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Text is content without the byte order mark that some editors put in front.
func Text(content []byte) []byte {
	return []byte(strings.TrimPrefix(string(content), "\ufeff"))
}
