package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
	f, err := os.CreateTemp(tmp, "new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	// The sync comes before the name, else a crash can leave an empty file under it.
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	// A link and not a rename: rename(2) replaces what is there.
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fs.ErrExist
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
