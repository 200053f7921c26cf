package access

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"paas/durable"
)

// writeNew publishes data as dir/name, mode 0600, whole or not at all: written and synced in
// dir/tmp, then linked to its name. It never replaces a file: where the name is taken the error
// is fs.ErrExist, so of two writers of one name exactly one wins. name may hold one folder, which
// is made. dir and what is made in it are 0700.
func writeNew(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	tmp := filepath.Join(dir, "tmp")
	for _, d := range []string{tmp, filepath.Dir(path)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	file := filepath.Join(tmp, "new-"+rand.Text())
	if err := durable.Create(file, data, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	// A link and not a rename: rename(2) replaces what is there.
	if err := os.Link(file, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fs.ErrExist
		}
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
