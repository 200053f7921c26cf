package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultIgnores are ignored unless --ignore '!NAME' says otherwise: files of version control,
// package managers, interpreters, editors and servers.
var DefaultIgnores = []string{
	".git", ".hg", ".svn", ".jj", ".paas", ".DS_Store", ".idea", ".vscode",
	"node_modules", "bower_components", ".nyc_output", ".sass-cache",
	"__pycache__", "*.py[co]", ".venv", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache",
	// of editors
	"*~", ".#*", "#*#", "*.sw[a-p]", "4913", ".goutputstream-*", "___jb_tmp___", "___jb_old___",
	"*.log", "*.pid", "*.sock", "*-journal", "*-wal", "*-shm", // of servers and SQLite
}

// dotnetOutput is ignored beside a project of .NET, which builds into it, unless --ignore or the
// .gitignore there says otherwise.
var dotnetOutput = parsePatterns("/bin/\n/obj/\n")

func isDotnetProject(name string) bool {
	switch filepath.Ext(name) {
	case ".csproj", ".fsproj", ".vbproj":
		return true
	}
	return false
}

// rules decide which paths of a tree are watched.
type rules struct {
	explicit []pattern // --ignore
	defaults []pattern
	exts     []string // with the dot; all files if empty
	parents  []scope  // .gitignore files of parent folders, outermost first
}

// scope is the patterns of a parent folder.
type scope struct {
	patterns []pattern
	path     []string
}

// newRules returns the rules for the tree at root.
func newRules(root string, ignore, ext []string) *rules {
	r := &rules{
		explicit: parsePatterns(strings.Join(ignore, "\n")),
		defaults: parsePatterns(strings.ReplaceAll(strings.Join(DefaultIgnores, "\n"), "#*#",
			`\#*#`)),
	}
	for _, e := range ext {
		e = strings.TrimLeft(strings.TrimSpace(e), "*.")
		if e != "" {
			r.exts = append(r.exts, "."+e)
		}
	}
	if top, ok := repositoryRoot(root); ok {
		r.addScope(top, filepath.Join(top, ".git", "info", "exclude"), root)
		for _, dir := range foldersBetween(top, root) {
			r.addScope(dir, filepath.Join(dir, ".gitignore"), root)
		}
	}
	return r
}

// repositoryRoot returns the nearest folder that contains .git, at or above root.
func repositoryRoot(root string) (top string, ok bool) {
	for dir := root; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir, true
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
	}
}

// foldersBetween lists the folders from top down to, but without, root.
func foldersBetween(top, root string) []string {
	var list []string
	for dir := root; dir != top; {
		dir = filepath.Dir(dir)
		list = append(list, dir)
	}
	slices.Reverse(list)
	return list
}

// addScope adds the patterns in file. Like git, it ignores files that it cannot read.
func (r *rules) addScope(dir, file, root string) {
	text, _ := os.ReadFile(file)
	patterns := parsePatterns(string(text))
	if len(patterns) == 0 {
		return
	}
	var path []string
	if rel, err := filepath.Rel(dir, root); err == nil && rel != "." {
		path = strings.Split(rel, "/")
	}
	r.parents = append(r.parents, scope{patterns, path})
}

// ignored reports whether the entry called name in f is ignored. f itself must not be.
func (r *rules) ignored(f *folder, name string, isFolder bool) bool {
	path := append(slices.Clip(f.path), name)
	if matched, ignored := lastMatch(r.explicit, path, isFolder); matched {
		return ignored
	}
	if matched, ignored := lastMatch(r.defaults, path, isFolder); matched {
		return ignored
	}
	for g := f; g != nil; g = g.parent {
		if matched, ignored := lastMatch(g.patterns, path[len(g.path):], isFolder); matched {
			return ignored
		}
	}
	for _, s := range slices.Backward(r.parents) {
		if matched, ignored := lastMatch(s.patterns, append(slices.Clip(s.path), path...),
			isFolder); matched {
			return ignored
		}
	}
	return false
}

// hasExt reports whether name has one of the extensions.
func (r *rules) hasExt(name string) bool {
	return len(r.exts) == 0 ||
		slices.ContainsFunc(r.exts, func(e string) bool { return strings.HasSuffix(name, e) })
}

// lastMatch returns the result of the last pattern that matches.
func lastMatch(patterns []pattern, path []string, isFolder bool) (matched, ignored bool) {
	for _, p := range slices.Backward(patterns) {
		if p.matches(path, isFolder) {
			return true, !p.negated
		}
	}
	return false, false
}
