package builder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"paas/say"
)

const (
	usersSuffix  = ".users"
	completeName = "complete" // written last
)

// shared is the folder of the cache for what is shared of a kind under key: another one after the cache was
// emptied, since what builds still run with stays.
func (b *build) shared(kind, key string) string {
	emptied, err := readFile(b.cache(generation), 1<<10)
	if err == nil {
		key += "-" + string(emptied[:min(8, len(emptied))])
	}
	return b.cache(kind, key)
}

// share gives the build what lies in dir: a folder of the cache that cannot be moved or copied, as it
// knows its own path, under a name that is a key of what is in it. Where it is not there, install makes
// it. Builds point to it by their environment, and it goes when the last of them is gone; there says
// that it was there already.
func (b *build) share(dir, there string, install func() error) error {
	if err := Sweep(b.job.Cache); err != nil {
		return err
	}
	complete := filepath.Join(dir, completeName)
	if _, err := os.Stat(complete); err == nil {
		say.Detail(b.job.Out, "%s", there)
		return addUser(dir, b.job.Tree)
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	if err := install(); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return errors.Join(os.WriteFile(complete, nil, 0o644), addUser(dir, b.job.Tree))
}

// addUser notes that the tree uses dir.
func addUser(dir, tree string) error {
	f, err := os.OpenFile(dir+usersSuffix, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, tree)
	return errors.Join(err, f.Close())
}
