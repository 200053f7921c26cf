package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// changes are the paths that have changed since the command was last started.
type changes map[string]bool

func (c changes) add(path string) { c[path] = true }

func (c changes) sorted() []string { return slices.Sorted(maps.Keys(c)) }

// String returns a message such as "main.js changed" or "3 files changed (a.js, b.js, c.js)".
func (c changes) String() string {
	const maxShown = 3
	paths := c.sorted()
	if len(paths) == 1 && paths[0] == "." {
		return "the folder changed"
	}
	if len(paths) == 1 {
		return paths[0] + " changed"
	}
	more := ""
	if len(paths) > maxShown {
		more = ", ..."
	}
	return fmt.Sprintf("%d files changed (%s%s)", len(paths),
		strings.Join(paths[:min(maxShown, len(paths))], ", "), more)
}

// changedVariable is the environment variable with the changed paths: see [changes.environ].
const changedVariable = "PAAS_WATCH_CHANGED"

// environ returns the variable for the command: at most 100 paths, relative to Dir, one per line.
// It is omitted if it would be empty or too large for an environment.
func (c changes) environ() []string {
	const maxPaths, maxSize = 100, 32 << 10
	paths := slices.DeleteFunc(c.sorted(),
		func(path string) bool { return strings.ContainsAny(path, "\n\x00") })
	text := strings.Join(paths[:min(maxPaths, len(paths))], "\n")
	if text == "" || len(text) > maxSize {
		return nil
	}
	return []string{changedVariable + "=" + text}
}

// plural returns "1 folder" or "2 folders".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
