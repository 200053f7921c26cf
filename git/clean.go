package git

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Clean removes what git processes that were killed left behind: lock files, which would refuse
// every later change of a reference, quarantines, half-written packs, and the marks that keep a
// pack of a push in flight from being repacked. Only while no git process works on the repository.
func (r Repo) Clean() error {
	var errs []error
	remove := func(path string) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, pattern := range []string{"*.lock", "objects/info/*.lock", "objects/pack/tmp_*"} {
		paths, _ := filepath.Glob(filepath.Join(escape(r.Dir), pattern))
		for _, path := range paths {
			remove(path)
		}
	}
	keeps, _ := filepath.Glob(filepath.Join(escape(r.Dir), "objects/pack/*.keep"))
	for _, keep := range keeps {
		if why, err := os.ReadFile(keep); err == nil && bytes.HasPrefix(why, []byte("receive-pack ")) {
			remove(keep)
		}
	}
	errs = append(errs, filepath.WalkDir(filepath.Join(r.Dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock") { // no reference may end so
			remove(path)
		}
		return err
	}), r.RemoveQuarantines())
	return errors.Join(errs...)
}

// escape makes dir mean itself in a pattern of [filepath.Glob].
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
