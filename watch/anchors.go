package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// anchors are the folders outside the tree whose entries decide where the tree is: that of the tree
// itself, and of each link on the way to it. A watch on a link would not tell of its flip.
type anchors struct {
	entries map[string]bool // absolute paths
	folders map[string]bool // those that they are in
}

// anchorsOf follows dir, an absolute path, link by link to root.
func anchorsOf(dir, root string) anchors {
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
		// Not cleaned: what ".." leads to depends on the links before it, which come first.
		at, rest = "/", strings.TrimPrefix(target+"/"+rest, "/")
	}
	return a
}

func (a anchors) add(path string) {
	a.entries[path] = true
	a.folders[filepath.Dir(path)] = true
}
