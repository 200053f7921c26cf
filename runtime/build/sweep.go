package build

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

// used says whether a tree is there that the list of users at path names, or may name.
func used(path string) bool {
	content, err := os.ReadFile(path)
	for line := range strings.Lines(string(content)) {
		if isFolder(strings.TrimSuffix(line, "\n")) {
			return true
		}
	}
	return err != nil
}

// generation is a file of a cache: what is in it is part of the keys of things that stay in use when
// the cache is emptied, so that the next build does not find them again.
const generation = "generation"

// Clear empties a cache by moving what is in it to grave, a folder on the same file system: half a
// folder would be taken for whole. What builds still run with stays for them, and for no other. The
// caller sees to it that no build of the app is being made.
func Clear(cache, grave string) error {
	notes, err := filepath.Glob(filepath.Join(escape(cache), "*", "*"+usersSuffix))
	if err != nil {
		return err
	}
	stays := map[string]bool{}
	for _, note := range notes {
		if used(note) {
			stays[note], stays[strings.TrimSuffix(note, usersSuffix)] = true, true
		}
	}
	folders, err := os.ReadDir(cache)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, f := range folders {
		err = errors.Join(err, moveOut(filepath.Join(cache, f.Name()), grave, stays))
	}
	if err != nil || len(stays) == 0 {
		return err
	}
	return os.WriteFile(filepath.Join(cache, generation), []byte(rand.Text()), 0o644)
}

// moveOut moves path to grave, or, where something in it stays, what else is in it.
func moveOut(path, grave string, stays map[string]bool) error {
	for kept := range stays {
		if filepath.Dir(kept) != path {
			continue
		}
		entries, err := os.ReadDir(path)
		for _, e := range entries {
			if inside := filepath.Join(path, e.Name()); !stays[inside] {
				err = errors.Join(err, os.Rename(inside, filepath.Join(grave, rand.Text())))
			}
		}
		return err
	}
	return os.Rename(path, filepath.Join(grave, rand.Text()))
}

// escape makes dir mean itself in a pattern of [filepath.Glob].
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
