package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// anchors are the entries outside the tree that determine where the tree is: the tree itself, and
// each link on the way to it. Watching a link would not show that it is switched.
type anchors struct {
	entries map[string]bool // absolute paths
	folders map[string]bool // their parents, to be watched
}

// newAnchors follows dir, an absolute path, link by link to root.
func newAnchors(dir, root string) anchors {
	a := anchors{map[string]bool{}, map[string]bool{}}
	a.add(root)
	at, rest := "/", strings.TrimPrefix(dir, "/")
	for links := 0; rest != "" && links < 40; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		next := filepath.Join(at, name)
		target, err := os.Readlink(next)
		if err != nil {
			at = next
			continue
		}
		links++
		a.add(next)
		if !filepath.IsAbs(target) {
			target = at + "/" + target
		}
		// Do not clean the path: what ".." means depends on the links before it.
		at, rest = "/", strings.TrimPrefix(target+"/"+rest, "/")
	}
	return a
}

func (a anchors) add(path string) {
	a.entries[path] = true
	a.folders[filepath.Dir(path)] = true
}
