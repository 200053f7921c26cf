package builder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"paas/say"
)

const (
	usersSuffix  = ".users"   // of a file that lists the trees that use the folder, see addUser
	completeName = "complete" // written last, with the path that commands see
)

// shared returns the folder of the cache for a kind of shared files under key. After Clear it is a
// new one: files that builds still run with stay in the old one.
func (b *build) shared(kind, key string) string {
	current, err := readFile(b.cache(generation), 1<<10)
	if err == nil {
		key += "-" + string(current[:min(8, len(current))])
	}
	return b.cache(kind, key)
}

// share lets the build use dir: a folder of the cache that cannot be copied because it contains its
// own path. Its name is a key of its contents. If dir does not exist, install makes it; otherwise
// share prints that the build reuses the things named what, as file has not changed. Builds point
// to dir by their environment. [Sweep] removes it after the last of them.
func (b *build) share(dir, what, file string, install func() error) error {
	if err := errors.Join(Sweep(b.job.Cache), Settle(b.job.Cache, b.job.View)); err != nil {
		return err
	}
	complete := unlinked(b.job.Cache, filepath.Join(dir, completeName))
	if _, err := os.Stat(complete); err == nil {
		say.Detail(b.job.Out, "using %s of an earlier build (%s has not changed)", what, file)
		return b.addUser(dir)
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	err := install()
	unlinked(b.job.Cache, complete)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return errors.Join(os.WriteFile(complete, []byte(b.job.View.Inside(dir)), 0o644), b.addUser(dir))
}

// addUser records that the tree uses dir, by its path from the cache: both may move.
func (b *build) addUser(dir string) error {
	tree, err := filepath.Rel(b.job.Cache, b.job.Tree)
	if err != nil {
		return err
	}
	list := unlinked(b.job.Cache, dir+usersSuffix)
	f, err := os.OpenFile(list, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, tree)
	return errors.Join(err, f.Close())
}
