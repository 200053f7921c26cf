package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Checkout writes the files of commit into tree, an empty folder, byte for byte and with their
// executable bits. It uses a temporary index file beside tree. The error matches [syscall.ENOSPC]
// if the disk is full; the caller removes what was written. Files are not synced. It runs one git
// process.
func (r Repo) Checkout(ctx context.Context, commit, tree string) error {
	index := filepath.Join(filepath.Dir(tree), "index")
	defer os.Remove(index)
	defer os.Remove(index + ".lock")
	_, err := r.run(ctx, []string{"GIT_INDEX_FILE=" + index, "GIT_WORK_TREE=" + tree},
		"read-tree", "-m", "-u", commit)
	var failed *Error
	if errors.As(err, &failed) && !failed.full { // git names only the file that it could not write
		failed.full = isFull(index)
	}
	return err
}

// isFull reports whether a small file at path does not fit on the disk.
func isFull(path string) bool {
	err := os.WriteFile(path, make([]byte, 64<<10), 0o600)
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
