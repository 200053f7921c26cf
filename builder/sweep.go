package builder

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Sweep takes away what a cache holds for builds that are all gone: things that cannot be moved into a
// tree, such as virtual environments, each with a list of the trees that use it beside it. The caller
// sees to it that no build of the app is being made.
func Sweep(cache string) error {
	notes, err := filepath.Glob(filepath.Join(escape(cache), "*", "*"+usersSuffix))
	for _, note := range notes {
		if !used(note) {
			err = errors.Join(err, os.RemoveAll(strings.TrimSuffix(note, usersSuffix)), os.Remove(note)) // the list last: it says that the rest is there
		}
	}
	return err
}

const maxUsers = 1 << 20 // bytes of a list, of which each line is a path

// used says whether a tree is there that the list of users at path names, or may name.
func used(path string) bool {
	content, err := readFile(path, maxUsers)
	for line := range strings.Lines(string(content)) {
		if isFolder(strings.TrimSuffix(line, "\n")) {
			return true
		}
	}
	return err != nil
}

// Clear empties a cache by moving what is in it to grave, a folder on the same file system: half a
// folder would be taken for whole. What builds share and still use stays, and so do folders that are inUse:
// what their environment names; other paths may be among it. The caller sees to it that no build of the
// app is being made.
func Clear(cache, grave string, inUse []string) error {
	notes, err := filepath.Glob(filepath.Join(escape(cache), "*", "*"+usersSuffix))
	if err != nil {
		return err
	}
	for _, note := range notes {
		if used(note) {
			inUse = append(inUse, strings.TrimSuffix(note, usersSuffix))
		}
	}
	c := clearing{grave, map[string]bool{}, map[string]bool{}}
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

// writeGeneration makes the file anew: what stays there under its name may be a link that an app has laid.
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

// generation is a file of a cache that was emptied: see [build.shared].
const generation = "generation"

// clearing is a cache being emptied.
type clearing struct {
	grave string
	stays map[string]bool // with the note of its users
	above map[string]bool // folders that hold something that stays
}

func (c clearing) empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case c.stays[strings.TrimSuffix(path, usersSuffix)]:
		case c.above[path] && e.IsDir(): // not where an app has laid a link
			err = errors.Join(err, c.empty(path))
		default:
			err = errors.Join(err, os.Rename(path, filepath.Join(c.grave, rand.Text())))
		}
	}
	return err
}

// escape makes dir mean itself in a pattern of [filepath.Glob].
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
