package access

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"paas/durable"
)

// writeNew writes data to dir/name with mode 0600, atomically: it writes and syncs a file in
// dir/tmp and then links it to its name. It never replaces a file. If the name exists, the error is
// fs.ErrExist, so of two writers exactly one wins. name may contain one folder, which writeNew
// creates. It creates folders with mode 0700.
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
	// Not a rename, which would replace an existing file.
	if err := os.Link(file, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fs.ErrExist
		}
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
