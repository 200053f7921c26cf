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
)

// keptFolder is a folder that installing fills, as the cache keeps it: under a name that is a key of everything
// that decides what is in it.
type keptFolder struct{ dir string }

const keptCopies = 3 // of an app: going back and forth between two branches stays fast

func (k keptFolder) is() bool { return isFolder(k.dir) }

// restore puts the copy into the tree, as the folder called name. With link its files are shared with the
// cache and other builds: for where nothing is to come that might write into them.
func (k keptFolder) restore(ctx context.Context, tree *os.Root, name string, link bool) error {
	if err := tree.RemoveAll(name); err != nil {
		return err
	}
	now := time.Now()
	os.Chtimes(k.dir, now, now) // prune goes by it
	return clone(ctx, k.dir, filepath.Join(tree.Name(), name), link)
}

// keep puts a copy of the tree's folder called name into the cache. A failure to do so fails the build: it
// is a full or broken disk.
func (k keptFolder) keep(ctx context.Context, tree *os.Root, name string, link bool) error {
	from := filepath.Join(tree.Name(), name)
	if !isFolder(from) {
		return nil
	}
	parent := filepath.Dir(k.dir)
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

// pruneKept makes room for one more: copies that a kill left half made, and the longest unused ones.
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
	names := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for _, name := range names[min(len(names), keptCopies-1):] {
		grave := filepath.Join(parent, unfinishedPrefix+rand.Text()) // a kill must not leave half of it under its key
		if os.Rename(filepath.Join(parent, name), grave) == nil {
			os.RemoveAll(grave)
		}
	}
}
