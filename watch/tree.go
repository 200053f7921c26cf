package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is the files below a folder as they were when last looked at.
type tree struct {
	root  string // absolute, no link
	rules *rules
	top   *folder

	// watch is told of each folder before it is read, each time: what comes after is an event. An
	// error ends the look. unwatch is told when one is gone. Both are nil where nobody watches.
	watch   func(path string) error
	unwatch func(path string)
}

// folder is one that is watched, with what is watched in it.
type folder struct {
	parent     *folder
	path       []string // its elements below the root
	inode      uint64
	files      map[string]stamp
	folders    map[string]*folder
	ignoreFile stamp // of the .gitignore that patterns are from
	patterns   []pattern
}

func newTree(root string, rules *rules) *tree { return &tree{root: root, rules: rules, top: &folder{}} }

// abs is where f is.
func (t *tree) abs(f *folder) string { return t.root + "/" + strings.Join(f.path, "/") }

func (f *folder) join(name string) string {
	return strings.Join(append(slices.Clip(f.path), name), "/")
}

// find is the folder at a path relative to the root, or nil.
func (t *tree) find(path string) *folder {
	f := t.top
	for path != "" && path != "." && f != nil {
		var name string
		name, path, _ = strings.Cut(path, "/")
		f = f.folders[name]
	}
	return f
}

// count is how many folders and files are watched.
func (f *folder) count() (folders, files int) {
	folders, files = 1, len(f.files)
	for _, sub := range f.folders {
		a, b := sub.count()
		folders, files = folders+a, files+b
	}
	return folders, files
}

// notable says whether an event about a path can be a change: it is not one about a file that is
// left out.
func (t *tree) notable(path string) bool {
	f := t.find(filepath.Dir(path))
	name := filepath.Base(path)
	if f == nil || f.folders[name] != nil || name == ".gitignore" {
		return true
	}
	return !t.rules.ignored(f, name, false) || !t.rules.ignored(f, name, true)
}

// arrived says whether there is something new at path: it was not known, is there, and counts.
func (t *tree) arrived(path string) bool {
	f, name := t.find(filepath.Dir(path)), filepath.Base(path)
	if f == nil {
		return true // its folder is
	}
	if _, known := f.files[name]; known || f.folders[name] != nil || name == ".gitignore" {
		return false
	}
	now, err := stampAt(unix.AT_FDCWD, t.root+"/"+path)
	return err == nil && (now.isFolder() || now.isFile() && t.rules.wanted(name)) && !t.rules.ignored(f, name, now.isFolder())
}

// scan looks at all of the tree.
func (t *tree) scan(changed func(path string)) error { return t.visit(t.top, changed) }

// look looks at these paths. What is gone comes first: a folder that was moved has one watch, which
// must be given up under its old name before it can be had under the new.
func (t *tree) look(paths []string, changed func(path string)) error {
	var there []string
	for _, path := range paths {
		now, err := stampAt(unix.AT_FDCWD, t.root+"/"+path)
		if f := t.find(filepath.Dir(path)); f != nil {
			name := filepath.Base(path)
			if sub := f.folders[name]; sub != nil && (err != nil || now.inode != sub.inode || !now.isFolder()) {
				t.drop(f, name, changed)
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
		if err := t.lookAt(path, changed); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) lookAt(path string, changed func(path string)) error {
	f, name := t.find(filepath.Dir(path)), filepath.Base(path)
	if f == nil { // a folder above it is new, and has an event of its own
		return nil
	}
	if name == ".gitignore" {
		return t.visit(f, changed)
	}
	now, err := stampAt(unix.AT_FDCWD, t.root+"/"+path)
	switch {
	case err != nil: // gone since: another event says so
		return nil
	case now.isFolder() && !t.rules.ignored(f, name, true):
		return t.visit(t.sub(f, name, now.inode), changed)
	case now.isFile():
		t.file(f, name, now, changed)
	}
	return nil
}

// file compares one file with what it was.
func (t *tree) file(f *folder, name string, now stamp, changed func(path string)) (watched bool) {
	if name == ".gitignore" || !t.rules.wanted(name) || t.rules.ignored(f, name, false) {
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

// sub is the folder called name in f, known or new.
func (t *tree) sub(f *folder, name string, inode uint64) *folder {
	if known := f.folders[name]; known != nil && known.inode == inode {
		return known
	}
	if f.folders == nil {
		f.folders = map[string]*folder{}
	}
	f.folders[name] = &folder{parent: f, path: append(slices.Clip(f.path), name), inode: inode}
	return f.folders[name]
}

// drop forgets the folder called name in f, and what was in it.
func (t *tree) drop(f *folder, name string, changed func(path string)) {
	sub := f.folders[name]
	t.forget(sub, changed)
	delete(f.folders, name)
}

// forget gives up the watches of f and below.
func (t *tree) forget(f *folder, changed func(path string)) {
	if t.unwatch != nil {
		t.unwatch(filepath.Clean(t.abs(f)))
	}
	for name := range f.files {
		changed(f.join(name))
	}
	for _, sub := range f.folders {
		t.forget(sub, changed)
	}
}

// visit compares f and all below it with what it was. Where f cannot be read that stays: if it is
// gone, its parent says so.
func (t *tree) visit(f *folder, changed func(path string)) error {
	path := filepath.Clean(t.abs(f))
	if t.watch != nil {
		if err := t.watch(path); err != nil {
			return err
		}
	}
	// A link may have come in its place meanwhile, which is not to be followed.
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil
	}
	if now := ignoreFile(dir); now != f.ignoreFile {
		// What other rules let in or leave out did not change for that, so it is no news: first
		// everything is compared by the old ones.
		if f.files != nil || f.folders != nil {
			if err := t.compare(f, dir, entries, changed); err != nil {
				return err
			}
			changed = func(string) {}
		}
		text, _ := os.ReadFile(filepath.Join(path, ".gitignore"))
		f.ignoreFile, f.patterns = now, parsePatterns(string(text))
	}
	return t.compare(f, dir, entries, changed)
}

// ignoreFile is the stamp of the folder's .gitignore; zero where it has none, or a link, which git
// does not follow either.
func ignoreFile(dir *os.File) stamp {
	now, err := stampAt(int(dir.Fd()), ".gitignore")
	if err != nil || now.kind != unix.S_IFREG {
		return stamp{}
	}
	return now
}

// compare is visit once the folder is read.
func (t *tree) compare(f *folder, dir *os.File, entries []os.DirEntry, changed func(path string)) error {
	var files []string
	subs := map[string]*folder{}
	for _, e := range entries {
		name, isFolder := e.Name(), e.IsDir()
		if isFolder && t.rules.ignored(f, name, true) || !isFolder && !t.rules.wanted(name) {
			continue
		}
		now, err := stampAt(int(dir.Fd()), name)
		switch {
		case err != nil:
		case now.isFolder() && isFolder:
			if known := f.folders[name]; known != nil && known.inode != now.inode {
				t.drop(f, name, changed)
			}
			subs[name] = t.sub(f, name, now.inode)
		case now.isFile() && t.file(f, name, now, changed):
			files = append(files, name)
		}
	}
	if len(files) < len(f.files) {
		t.keepFiles(f, files, changed)
	}
	for name := range f.folders {
		if subs[name] == nil {
			t.drop(f, name, changed)
		}
	}
	for _, sub := range subs {
		if err := t.visit(sub, changed); err != nil {
			return err
		}
	}
	return nil
}

// keepFiles forgets all files of f but these.
func (t *tree) keepFiles(f *folder, names []string, changed func(path string)) {
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
