package builder

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Sweep removes from a cache what no build uses any more: folders that cannot be moved into a tree,
// such as virtual environments. A list beside each names the trees that use it. No build of the app
// may run during the call.
func Sweep(cache string) error {
	var err error
	for _, folder := range sharedFolders(cache) {
		if !used(cache, folder) {
			// the list last: without it, nothing would ever remove the rest
			err = errors.Join(err, os.RemoveAll(folder), os.Remove(folder+usersSuffix))
		}
	}
	return err
}

// sharedFolders returns the folders of a cache that have a list of their users.
func sharedFolders(cache string) (folders []string) {
	lists, _ := fs.Glob(os.DirFS(cache), "*/*"+usersSuffix) // fails only for a malformed pattern
	for _, list := range lists {
		folder := filepath.Join(cache, strings.TrimSuffix(list, usersSuffix))
		if in, err := os.Lstat(filepath.Dir(folder)); err == nil && in.IsDir() { // not a link
			folders = append(folders, folder)
		}
	}
	return folders
}

const maxUsers = 1 << 20 // bytes of a list

// used reports whether one of the trees that use the folder exists, or may exist.
func used(cache, folder string) bool {
	content, err := readFile(folder+usersSuffix, maxUsers)
	for line := range strings.Lines(string(content)) {
		tree := strings.TrimSuffix(line, "\n")
		if !filepath.IsAbs(tree) { // older versions wrote absolute paths
			tree = filepath.Join(cache, tree)
		}
		if isFolder(tree) {
			return true
		}
	}
	return err != nil
}

// Clear empties a cache by moving its contents to trash, a folder on the same file system: a build
// would take a half-deleted folder for a complete one. Folders that existing builds use stay, and
// so do the paths in inUse; paths outside the cache are ignored. No build of the app may run during
// the call.
func Clear(cache, trash string, inUse []string) error {
	for _, folder := range sharedFolders(cache) {
		if used(cache, folder) {
			inUse = append(inUse, folder)
		}
	}
	c := clearing{trash, map[string]bool{}, map[string]bool{}}
	for _, path := range inUse {
		path = filepath.Clean(path)
		for c.stays[path] = true; path != filepath.Dir(path); {
			path = filepath.Dir(path)
			c.above[path] = true
		}
	}
	if err := c.empty(cache); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return writeGeneration(filepath.Join(cache, generation))
}

// writeGeneration writes the file. It removes an old one first, which may be a link that an app
// made.
func writeGeneration(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(rand.Text())
	return errors.Join(err, f.Close())
}

// generation is a file that Clear writes with random text, see [build.shared].
const generation = "generation"

// clearing is a cache being emptied.
type clearing struct {
	trash string
	stays map[string]bool // folders that stay, with the lists of their users
	above map[string]bool // folders above one that stays
}

func (c clearing) empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case c.stays[strings.TrimSuffix(path, usersSuffix)]:
		case c.above[path] && e.IsDir(): // not a link that an app made
			err = errors.Join(err, c.empty(path))
		default:
			err = errors.Join(err, os.Rename(path, filepath.Join(c.trash, rand.Text())))
		}
	}
	return err
}
