package builder

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paas/say"
)

// keptFolder is a copy of an installed folder in the cache. Its name is a [cacheKey].
type keptFolder struct{ dir string }

const keptCopies = 3 // per app: switching between two branches stays fast

// restore copies the folder into the tree under the given name, and reports whether it could: not
// if there is no copy yet. What the commit contains under that name is removed. The key depends on
// the lock file. With link the files are shared with the cache and other builds; use it only if
// nothing will write into them.
func (k keptFolder) restore(
	ctx context.Context, b *build, name, lock string, link bool,
) (restored bool, err error) {
	if err := b.tree.RemoveAll(name); err != nil || !isFolder(unlinked(b.job.Cache, k.dir)) {
		return false, err
	}
	say.Detail(b.job.Out, "using %s of an earlier build (%s has not changed)", name, lock)
	now := time.Now()
	os.Chtimes(k.dir, now, now) // for pruneKept
	return true, clone(ctx, k.dir, filepath.Join(b.tree.Name(), name), link)
}

// keep copies the tree's folder of the given name into the cache. An error should fail the build:
// it means a full or broken disk.
func (k keptFolder) keep(ctx context.Context, tree *os.Root, name string, link bool) error {
	from := filepath.Join(tree.Name(), name)
	if info, err := tree.Lstat(name); err != nil || !info.IsDir() { // such as a link
		return nil
	}
	parent := filepath.Dir(k.dir)
	unlinked(filepath.Dir(parent), k.dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	pruneKept(parent)
	unfinished := filepath.Join(parent, unfinishedPrefix+rand.Text())
	err := clone(ctx, from, unfinished, link)
	if err == nil {
		err = os.Rename(unfinished, k.dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(unfinished))
	}
	return nil
}

const unfinishedPrefix = "unfinished-"

// pruneKept makes space for one more copy. It removes unfinished copies and those unused for
// longest.
func pruneKept(parent string) {
	entries, _ := os.ReadDir(parent)
	used := map[string]time.Time{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasPrefix(e.Name(), unfinishedPrefix) {
			used[e.Name()] = info.ModTime()
		} else {
			os.RemoveAll(filepath.Join(parent, e.Name()))
		}
	}
	newestFirst := func(a, b string) int { return used[b].Compare(used[a]) }
	names := slices.SortedFunc(maps.Keys(used), newestFirst)
	for _, name := range names[min(len(names), keptCopies-1):] {
		// renamed first, else a kill could leave half a folder under its key
		trash := filepath.Join(parent, unfinishedPrefix+rand.Text())
		if os.Rename(filepath.Join(parent, name), trash) == nil {
			os.RemoveAll(trash)
		}
	}
}
