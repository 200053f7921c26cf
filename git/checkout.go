package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Checkout writes the files of commit into tree, an empty folder, byte for byte as they were
// committed, and executable where they are so. It needs a place for an index beside tree, and
// leaves nothing there. The error matches [syscall.ENOSPC] where the disk is full; what was written
// until then is left to the caller. One git process; files are written, not flushed.
func (r Repo) Checkout(ctx context.Context, commit, tree string) error {
	index := filepath.Join(filepath.Dir(tree), "index")
	defer os.Remove(index)
	defer os.Remove(index + ".lock")
	_, err := r.run(ctx, []string{"GIT_INDEX_FILE=" + index, "GIT_WORK_TREE=" + tree},
		"read-tree", "-m", "-u", commit)
	var failed *Error
	if errors.As(err, &failed) && !failed.full { // git says only which file it could not write
		failed.full = isFull(index)
	}
	return err
}

// isFull says whether there is no room for a small file at path.
func isFull(path string) bool {
	err := os.WriteFile(path, make([]byte, 64<<10), 0o600)
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
