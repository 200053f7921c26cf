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

// Worktree is a folder in which a commit is kept up to date in place, while an app with a watcher
// of its own reads it, and may write there too. It is a value, and holds nothing open. One Update
// at a time: the state file has one writer.
//
// What the app makes itself (node_modules, bin/, uploads) is not touched, unless the commit has a
// file where it stands, or a folder where it is a file; what the commit has wins, as with git
// checkout --force. A file of the commit that was changed or removed in the folder stays so until a
// commit changes it.
//
// The app is trusted with nothing but the folder itself: a link it puts in the place of one of our
// folders is not followed, so nothing outside Dir is written, replaced or removed.
type Worktree struct {
	Dir   string // the folder; made where there is none
	State string // path of its state file, beside Dir: what it says is in Dir. See [Worktree.Commit]
	Temp  string // an existing folder on the file system of Dir and State, for files being written

	ahead time.Duration // in place of watcherDelay, in tests
}

// Changes is what an update did.
type Changes struct {
	Written int // files written: new ones, and those whose content or mode differed
	Removed int // files that the commit before had and this one has not, removed already or not
	// Displaced are the files and folders that the commit before did not have, and that are gone
	// because this one has something in their place; sorted, and folders without what was in them.
	Displaced []string
}

// Update brings Dir from whatever commit it holds to this one. It touches only files that differ
// between the two: each is replaced whole, so a reader sees the old content or the new.
//
// New folders come first. They stay empty for [watcherDelay], so that a watcher of Dir can ask for news
// of them too. Meanwhile all files are written in Temp and flushed. So a full disk ([syscall.ENOSPC])
// or a missing object changes nothing, and Dir is a mixture for no longer than the renames take. Then
// new files appear, then changed files are replaced, and files that the commit no longer has go after
// them, with the folders that this leaves empty: a reader of a new file finds what it refers to, and
// so does a reader of an old one. A folder that gives way to a file or a link is emptied in its place,
// last of all. The modification time of a file is when it appeared in Dir.
//
// After an update that was cut short at any point, by ctx, an error, a kill or a power cut, the next
// one, to any commit, compares every file by its content and makes all of it right. Then, and when
// one of our folders has become a link, local changes to any of the commit's files are lost. Blocks
// until everything is on the disk, and what others write to the same file system too.
func (w Worktree) Update(ctx context.Context, o *Objects, commit string) (Changes, error) {
	entries, err := o.list(ctx, commit)
	if err != nil {
		return Changes{}, err
	}
	root, err := w.open()
	if err != nil {
		return Changes{}, err
	}
	defer root.Close()
	before, err := w.recall()
	if err != nil {
		return Changes{}, err
	}
	if before.settled && before.commit == commit && len(before.folders) == 0 {
		return Changes{}, nil
	}
	d := compare(before.entries, entries)
	if !before.settled || d.hidden(before.entries, root) {
		if d.changed, err = o.differing(ctx, entries, root); err != nil {
			return Changes{}, err
		}
	}
	stage, err := w.stage()
	if err != nil {
		return Changes{}, err
	}
	defer stage.remove()
	u := update{ctx: ctx, before: before.entries, stage: stage, root: root, ahead: cmp.Or(w.ahead, watcherDelay)}
	free, blocked, err := newFolders(d.changed, root)
	if err != nil {
		return Changes{}, err
	}
	d.blocked = levelsOf(blocked)
	d.folders = slices.Sorted(slices.Values(slices.Concat(before.folders, free)))
	if len(free) > 0 {
		if err := w.announce(stage, before, d.folders); err != nil {
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
	return u.changes, w.settle(stage, commit, entries)
}

// open opens Dir, and makes it where there is none.
func (w Worktree) open() (folder, error) {
	if _, err := os.Lstat(w.Dir); !errors.Is(err, fs.ErrNotExist) {
		return openFolder(w.Dir)
	}
	// Whatever the state says, nothing is there any more; and an update that is killed from here on
	// must not leave an empty folder that is said to be settled.
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
	if err := root.Chmod(0o755); err != nil { // the umask may have taken bits away
		return folder{}, errors.Join(err, root.Close())
	}
	return root, nil
}
