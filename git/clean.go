package git

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Clean removes what killed git processes left behind: lock files, which would block every change
// of a reference, quarantines, partial packs, and files that protect a pushed pack from being
// repacked. It must not be called while a git process works on the repository.
func (r Repo) Clean() error {
	var errs []error
	remove := func(path string) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, pattern := range []string{"*.lock", "objects/info/*.lock", "objects/pack/tmp_*"} {
		paths, _ := filepath.Glob(filepath.Join(escapeGlob(r.Dir), pattern))
		for _, path := range paths {
			remove(path)
		}
	}
	keeps, _ := filepath.Glob(filepath.Join(escapeGlob(r.Dir), "objects/pack/*.keep"))
	for _, keep := range keeps {
		if why, err := os.ReadFile(keep); err == nil &&
			bytes.HasPrefix(why, []byte("receive-pack ")) {
			remove(keep)
		}
	}
	errs = append(errs,
		filepath.WalkDir(filepath.Join(r.Dir, "refs"),
			func(path string, d fs.DirEntry, err error) error {
				// no reference name ends in .lock
				if err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock") {
					remove(path)
				}
				return err
			}), r.RemoveQuarantines())
	return errors.Join(errs...)
}

// escapeGlob quotes dir for use in a pattern of [filepath.Glob].
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
