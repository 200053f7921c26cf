package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultIgnores are left out unless --ignore '!NAME' takes them in again: what version control,
// package managers, interpreters, editors and servers keep beside the files that people write.
var DefaultIgnores = []string{
	".git", ".hg", ".svn", ".jj", ".paas", ".DS_Store", ".idea", ".vscode",
	"node_modules", "bower_components", ".nyc_output", ".sass-cache",
	"__pycache__", "*.py[co]", ".venv", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache",
	"*~", ".#*", "#*#", "*.sw[a-p]", "4913", ".goutputstream-*", "___jb_tmp___", "___jb_old___", // editors' own
	"*.log", "*.pid", "*.sock", "*-journal", "*-wal", "*-shm", // of servers and of SQLite
}

// rules say which paths of a tree are watched.
type rules struct {
	asked    []pattern // --ignore
	defaults []pattern
	exts     []string // with the dot; none: every file
	above    []scope  // .gitignore of the folders above, the outermost first
}

// scope is patterns of a folder above the tree, and the way from there down to it.
type scope struct {
	patterns []pattern
	way      []string
}

// newRules are those for the tree at root.
func newRules(root string, ignore, ext []string) *rules {
	r := &rules{
		asked:    parsePatterns(strings.Join(ignore, "\n")),
		defaults: parsePatterns(strings.ReplaceAll(strings.Join(DefaultIgnores, "\n"), "#*#", `\#*#`)),
	}
	for _, e := range ext {
		e = strings.TrimLeft(strings.TrimSpace(e), "*.")
		if e != "" {
			r.exts = append(r.exts, "."+e)
		}
	}
	if top, ok := repository(root); ok {
		r.addScope(top, filepath.Join(top, ".git", "info", "exclude"), root)
		for _, dir := range between(top, root) {
			r.addScope(dir, filepath.Join(dir, ".gitignore"), root)
		}
	}
	return r
}

// repository is the nearest folder with a .git of its own, root or above it.
func repository(root string) (top string, ok bool) {
	for dir := root; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir, true
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
	}
}

// between are the folders from top down to root, without root.
func between(top, root string) []string {
	var list []string
	for dir := root; dir != top; {
		dir = filepath.Dir(dir)
		list = append(list, dir)
	}
	slices.Reverse(list)
	return list
}

// addScope takes no notice of a file that it cannot read, as git does.
func (r *rules) addScope(dir, file, root string) {
	text, _ := os.ReadFile(file)
	patterns := parsePatterns(string(text))
	if len(patterns) == 0 {
		return
	}
	var way []string
	if rel, err := filepath.Rel(dir, root); err == nil && rel != "." {
		way = strings.Split(rel, "/")
	}
	r.above = append(r.above, scope{patterns, way})
}

// ignored says whether the entry called name in f is left out. That f is not is the caller's
// knowledge.
func (r *rules) ignored(f *folder, name string, isFolder bool) bool {
	path := append(slices.Clip(f.path), name)
	if said, ignored := verdict(r.asked, path, isFolder); said {
		return ignored
	}
	if said, ignored := verdict(r.defaults, path, isFolder); said {
		return ignored
	}
	for g := f; g != nil; g = g.parent {
		if said, ignored := verdict(g.patterns, path[len(g.path):], isFolder); said {
			return ignored
		}
	}
	for _, s := range slices.Backward(r.above) {
		if said, ignored := verdict(s.patterns, append(slices.Clip(s.way), path...), isFolder); said {
			return ignored
		}
	}
	return false
}

// wanted says whether a file of that name has an extension asked for.
func (r *rules) wanted(name string) bool {
	return len(r.exts) == 0 || slices.ContainsFunc(r.exts, func(e string) bool { return strings.HasSuffix(name, e) })
}

// verdict is that of the last pattern that says anything.
func verdict(patterns []pattern, path []string, isFolder bool) (said, ignored bool) {
	for _, p := range slices.Backward(patterns) {
		if p.matches(path, isFolder) {
			return true, !p.keep
		}
	}
	return false, false
}
