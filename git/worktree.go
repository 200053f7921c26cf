package git

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Worktree is a folder that is updated in place to a commit while an app reads it through its own
// watcher, and may write to it. It is a value and holds nothing open. Only one Update may run at a
// time.
//
// Update does not touch what the app creates (node_modules, bin/, uploads), unless it is in the way
// of a file or folder of the commit; then the commit wins, as with git checkout --force. A file of
// the commit that was changed or removed in the folder stays so until a commit changes it.
//
// The app is not trusted outside the folder: links that replace our folders are not followed, so
// nothing outside Dir is written or removed.
type Worktree struct {
	Dir   string // created if it does not exist
	State string // path of the state file, outside Dir; see [Worktree.Commit]
	Temp  string // existing folder for temporary files, on the same file system as Dir and State

	watcherDelay time.Duration // in tests; default watcherDelay
}

// Changes describes what an update did.
type Changes struct {
	Written int // new files, and those with a changed content or mode
	Removed int // files of the previous commit that are not in this one, even if already removed
	// Displaced lists files and folders that were not in the previous commit and made way for this
	// one. It is sorted, and names folders without their content.
	Displaced []string
}

// Update brings Dir to commit, from any state. It touches only files that differ, and replaces each
// atomically.
//
// New folders come first and stay empty for [watcherDelay], so that watchers can watch them.
// Meanwhile all files are written to Temp and synced. A full disk ([syscall.ENOSPC]) or a missing
// object therefore changes nothing, and Dir is a mixture of commits only while files are renamed.
// New files appear first, then changed files are replaced, then files that are not in the commit
// are removed, with folders that become empty. So readers of new and of old files find what those
// refer to. Folders that a file or link replaces are emptied in place, last of all. A file's
// modification time is when it appeared in Dir.
//
// If an update is interrupted at any point by ctx, an error, a kill or a power cut, the next one
// compares all files by content and repairs everything. In that case, or if one of our folders has
// become a link, local changes to files of the commit are lost. Update blocks until everything is
// synced, including what others write to the same file system.
func (w Worktree) Update(ctx context.Context, o *Objects, commit string) (Changes, error) {
	entries, err := o.files(ctx, commit)
	if err != nil {
		return Changes{}, err
	}
	root, err := w.open()
	if err != nil {
		return Changes{}, err
	}
	defer root.Close()
	before, err := w.load()
	if err != nil {
		return Changes{}, err
	}
	if before.settled && before.commit == commit && len(before.folders) == 0 {
		return Changes{}, nil
	}
	d := compare(before.entries, entries)
	if !before.settled || d.behindLink(before.entries, root) {
		if d.changed, err = o.changedOnDisk(ctx, entries, root); err != nil {
			return Changes{}, err
		}
	}
	stage, err := w.stage()
	if err != nil {
		return Changes{}, err
	}
	defer stage.remove()
	u := update{ctx: ctx, before: before.entries, stage: stage, root: root,
		watcherDelay: cmp.Or(w.watcherDelay, watcherDelay)}
	free, blocked, err := newFolders(d.changed, root)
	if err != nil {
		return Changes{}, err
	}
	d.blocked = levelsOf(blocked)
	d.folders = slices.Sorted(slices.Values(slices.Concat(before.folders, free)))
	if len(free) > 0 {
		if err := w.announceFolders(stage, before, d.folders); err != nil {
			return Changes{}, err
		}
	}
	if err = u.prepare(o, d.changed, levelsOf(free)); err == nil {
		err = w.begin(stage, commit, d)
	}
	if err != nil {
		u.removeFolders(free)
		return Changes{}, err
	}
	if err := u.run(d); err != nil {
		return u.changes, err
	}
	if err := flush(root.File); err != nil {
		return u.changes, err
	}
	return u.changes, w.finish(stage, commit, entries)
}

// open opens Dir and creates it if it does not exist.
func (w Worktree) open() (folder, error) {
	if _, err := os.Lstat(w.Dir); !errors.Is(err, fs.ErrNotExist) {
		return openFolder(w.Dir)
	}
	// Nothing is there, whatever the state file says. If we are killed after Mkdir, the state must
	// not call the empty folder settled.
	if err := os.Remove(w.State); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return folder{}, err
	}
	if err := os.Mkdir(w.Dir, 0o755); err != nil {
		return folder{}, err
	}
	root, err := openFolder(w.Dir)
	if err != nil {
		return folder{}, err
	}
	if err := root.Chmod(0o755); err != nil { // undo the umask
		return folder{}, errors.Join(err, root.Close())
	}
	return root, nil
}
