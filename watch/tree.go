package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is the recorded state of the files below a folder.
type tree struct {
	root  string // absolute, without links
	rules *rules
	top   *folder

	// watch is called for each folder before it is read, so that later changes cause events. If it
	// fails, the scan ends. unwatch is called when a folder is gone. Both may be nil.
	watch   func(path string) error
	unwatch func(path string)
}

// folder is a watched folder and its watched entries.
type folder struct {
	parent     *folder
	path       []string // elements of its path below the root
	inode      uint64
	files      map[string]stamp
	folders    map[string]*folder
	ignoreFile stamp // of the .gitignore that patterns come from
	dotnet     bool  // contains a project of .NET; patterns include what that builds
	patterns   []pattern
}

func newTree(root string, rules *rules) *tree {
	return &tree{root: root, rules: rules, top: &folder{}}
}

// absPath returns the absolute path of f.
func (t *tree) absPath(f *folder) string { return t.root + "/" + strings.Join(f.path, "/") }

func (f *folder) join(name string) string {
	return strings.Join(append(slices.Clip(f.path), name), "/")
}

// find returns the folder at a path relative to the root, or nil.
func (t *tree) find(path string) *folder {
	f := t.top
	for path != "" && path != "." && f != nil {
		var name string
		name, path, _ = strings.Cut(path, "/")
		f = f.folders[name]
	}
	return f
}

// count returns the number of watched folders and files.
func (f *folder) count() (folders, files int) {
	folders, files = 1, len(f.files)
	for _, sub := range f.folders {
		a, b := sub.count()
		folders, files = folders+a, files+b
	}
	return folders, files
}

// isRelevant reports whether an event for path may be a change, and not one of an ignored file.
func (t *tree) isRelevant(path string) bool {
	f := t.find(filepath.Dir(path))
	name := filepath.Base(path)
	if f == nil || f.folders[name] != nil || name == ".gitignore" {
		return true
	}
	return !t.rules.ignored(f, name, false) || !t.rules.ignored(f, name, true)
}

// isNew reports whether path exists, is to be watched, and is not recorded yet.
func (t *tree) isNew(path string) bool {
	f, name := t.find(filepath.Dir(path)), filepath.Base(path)
	if f == nil {
		return true // its folder is new
	}
	if _, known := f.files[name]; known || f.folders[name] != nil || name == ".gitignore" {
		return false
	}
	now, err := stampAt(unix.AT_FDCWD, t.root+"/"+path)
	return err == nil && (now.isFolder() || now.isFile() && t.rules.hasExt(name)) &&
		!t.rules.ignored(f, name, now.isFolder())
}

// scan compares the whole tree with the recorded state.
func (t *tree) scan(changed func(path string)) error { return t.scanFolder(t.top, changed) }

// check compares paths. Removed ones come first: a moved folder has only one watch, which must be
// given up under the old name before it is added under the new one.
func (t *tree) check(paths []string, changed func(path string)) error {
	var there []string
	for _, path := range paths {
		now, err := stampAt(unix.AT_FDCWD, t.root+"/"+path)
		if f := t.find(filepath.Dir(path)); f != nil {
			name := filepath.Base(path)
			if sub := f.folders[name]; sub != nil &&
				(err != nil || now.inode != sub.inode || !now.isFolder()) {
				t.dropFolder(f, name, changed)
			}
			if _, was := f.files[name]; was && (err != nil || !now.isFile()) {
				delete(f.files, name)
				changed(path)
			}
		}
		if err == nil || filepath.Base(path) == ".gitignore" {
			there = append(there, path)
		}
	}
	for _, path := range there {
		if err := t.checkPath(path, changed); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) checkPath(path string, changed func(path string)) error {
	f, name := t.find(filepath.Dir(path)), filepath.Base(path)
	if f == nil { // a folder above it is new and has an event of its own
		return nil
	}
	if name == ".gitignore" || isDotnetProject(name) && !f.dotnet {
		return t.scanFolder(f, changed)
	}
	now, err := stampAt(unix.AT_FDCWD, t.root+"/"+path)
	switch {
	case err != nil: // removed since; another event will say so
		return nil
	case now.isFolder() && !t.rules.ignored(f, name, true):
		return t.scanFolder(t.subfolder(f, name, now.inode), changed)
	case now.isFile():
		t.checkFile(f, name, now, changed)
	}
	return nil
}

// checkFile compares a file.
func (t *tree) checkFile(f *folder, name string, now stamp,
	changed func(path string)) (watched bool) {
	if name == ".gitignore" || !t.rules.hasExt(name) || t.rules.ignored(f, name, false) {
		return false
	}
	if was, known := f.files[name]; !known || was != now {
		if f.files == nil {
			f.files = map[string]stamp{}
		}
		f.files[name] = now
		changed(f.join(name))
	}
	return true
}

// subfolder returns the recorded folder called name in f, or a new one.
func (t *tree) subfolder(f *folder, name string, inode uint64) *folder {
	if known := f.folders[name]; known != nil && known.inode == inode {
		return known
	}
	if f.folders == nil {
		f.folders = map[string]*folder{}
	}
	f.folders[name] = &folder{parent: f, path: append(slices.Clip(f.path), name), inode: inode}
	return f.folders[name]
}

// dropFolder forgets the folder called name in f and its files.
func (t *tree) dropFolder(f *folder, name string, changed func(path string)) {
	t.forget(f.folders[name], changed)
	delete(f.folders, name)
}

// forget removes the watches of f and its subfolders.
func (t *tree) forget(f *folder, changed func(path string)) {
	if t.unwatch != nil {
		t.unwatch(filepath.Clean(t.absPath(f)))
	}
	for name := range f.files {
		changed(f.join(name))
	}
	for _, sub := range f.folders {
		t.forget(sub, changed)
	}
}

// scanFolder compares f and everything below it. If f cannot be read, nothing changes: if it is
// gone, the scan of its parent notices.
func (t *tree) scanFolder(f *folder, changed func(path string)) error {
	path := filepath.Clean(t.absPath(f))
	if t.watch != nil {
		if err := t.watch(path); err != nil {
			return err
		}
	}
	// A link that replaces the folder meanwhile must not be followed.
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil
	}
	dotnet := slices.ContainsFunc(entries,
		func(e os.DirEntry) bool { return isDotnetProject(e.Name()) })
	if now := ignoreFile(dir); now != f.ignoreFile || dotnet != f.dotnet {
		// Files that are ignored or watched only because of the new rules have not changed. So
		// compare everything by the old rules first.
		if f.files != nil || f.folders != nil {
			if err := t.compareFolder(f, dir, entries, changed); err != nil {
				return err
			}
			changed = func(string) {}
		}
		text, _ := os.ReadFile(filepath.Join(path, ".gitignore"))
		f.ignoreFile, f.dotnet, f.patterns = now, dotnet, parsePatterns(string(text))
		if dotnet { // first, so that the .gitignore can take them in again
			f.patterns = slices.Concat(dotnetOutput, f.patterns)
		}
	}
	return t.compareFolder(f, dir, entries, changed)
}

// ignoreFile returns the stamp of the folder's .gitignore. It is zero if that does not exist or is
// a link, which git does not follow either.
func ignoreFile(dir *os.File) stamp {
	now, err := stampAt(int(dir.Fd()), ".gitignore")
	if err != nil || now.kind != unix.S_IFREG {
		return stamp{}
	}
	return now
}

// compareFolder does the comparison for scanFolder.
func (t *tree) compareFolder(f *folder, dir *os.File, entries []os.DirEntry,
	changed func(path string)) error {
	var files []string
	subs := map[string]*folder{}
	for _, e := range entries {
		name, isFolder := e.Name(), e.IsDir()
		if isFolder && t.rules.ignored(f, name, true) || !isFolder && !t.rules.hasExt(name) {
			continue
		}
		now, err := stampAt(int(dir.Fd()), name)
		switch {
		case err != nil:
		case now.isFolder() && isFolder:
			if known := f.folders[name]; known != nil && known.inode != now.inode {
				t.dropFolder(f, name, changed)
			}
			subs[name] = t.subfolder(f, name, now.inode)
		case now.isFile() && t.checkFile(f, name, now, changed):
			files = append(files, name)
		}
	}
	if len(files) < len(f.files) {
		t.keepOnly(f, files, changed)
	}
	for name := range f.folders {
		if subs[name] == nil {
			t.dropFolder(f, name, changed)
		}
	}
	for _, sub := range subs {
		if err := t.scanFolder(sub, changed); err != nil {
			return err
		}
	}
	return nil
}

// keepOnly forgets the files of f that are not in names.
func (t *tree) keepOnly(f *folder, names []string, changed func(path string)) {
	left := make(map[string]bool, len(names))
	for _, name := range names {
		left[name] = true
	}
	for name := range f.files {
		if !left[name] {
			delete(f.files, name)
			changed(f.join(name))
		}
	}
}
