package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// update is the state of a [Worktree.Update].
type update struct {
	ctx          context.Context
	before       map[string]entry
	stage        *stage
	root         folder
	watcherDelay time.Duration // how long a new folder exists before its first file
	lastFolder   time.Time     // when the last new folder was made; zero if none
	changes      Changes
}

// prepare makes the new folders and stages the files, and syncs them, because a power cut could
// otherwise leave a name without its content. It returns when watchers have had time for the
// folders.
func (u *update) prepare(o *Objects, changed []entry, folders levels) error {
	if err := u.makeFolders(folders, folder.makeSubfolder); err != nil {
		return err
	}
	if err := u.stage.fill(u.ctx, o, changed); err != nil {
		return err
	}
	if err := flush(u.root.File); err != nil {
		return err
	}
	return u.awaitWatchers()
}

// run moves the staged files of d into place, first new ones, then changed ones. It then removes
// files, and last the folders that are replaced by a file.
func (u *update) run(d difference) error {
	if err := u.makeFolders(d.blocked, u.clearFolder); err != nil {
		return err
	}
	if err := u.awaitWatchers(); err != nil {
		return err
	}
	at := dirCursor{root: u.root, openSub: u.clearFolder}
	defer at.close()
	var late []int // indexes of files that replace a folder
	folders := map[string]bool{}
	for _, isNew := range []bool{true, false} {
		for i, e := range d.changed {
			if _, ours := u.before[e.path]; ours == isNew {
				continue
			}
			err := u.install(&at, e.path, strconv.Itoa(i))
			if errors.Is(err, unix.EISDIR) {
				late, folders[e.path] = append(late, i), true
			} else if err != nil {
				return err
			}
		}
	}
	at.close() // it may be in a folder that was removed
	at.openSub = folder.subfolder
	u.changes.Removed = len(d.removed)
	removed := slices.DeleteFunc(slices.Clone(d.removed),
		func(e entry) bool { return isInside(e.path, folders) })
	for _, e := range removed {
		if err := u.remove(&at, e.path); err != nil {
			return err
		}
	}
	u.removeFolders(d.folders) // first, because they keep their parents from being removed
	u.removeEmptyFolders(&at, removed)
	for _, i := range late {
		if err := u.replaceFolder(&at, d.changed[i].path, strconv.Itoa(i), d.removed); err != nil {
			return err
		}
	}
	slices.Sort(u.changes.Displaced)
	u.changes.Displaced = slices.Compact(u.changes.Displaced)
	return nil
}

// clearFolder opens a subfolder on the way to a file. It makes the folder if necessary, after
// removing anything else of that name.
func (u *update) clearFolder(in folder, name string) (folder, error) {
	next, err := in.makeSubfolder(name)
	if !isNoFolder(err) {
		return next, err
	}
	file := path.Join(in.path, name)
	if err := in.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return folder{}, fmt.Errorf("%s is in the way: %w", file, err)
	}
	if _, ours := u.before[file]; !ours {
		u.changes.Displaced = append(u.changes.Displaced, file)
	}
	return in.makeSubfolder(name)
}

// install moves a staged file into place. The error is EISDIR if a folder is there.
func (u *update) install(at *dirCursor, file, staged string) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	in, err := at.folderOf(file)
	if err != nil {
		return err
	}
	name := path.Base(file)
	if _, ours := u.before[file]; !ours {
		switch there, isFolder, err := in.stat(name); {
		case err != nil:
			return err
		case there && !isFolder:
			u.changes.Displaced = append(u.changes.Displaced, file)
		}
	}
	if err := u.stage.moveIn(staged, in, name); err != nil {
		return err
	}
	u.changes.Written++
	return nil
}

// replaceFolder replaces a folder by a staged file. It empties the folder in place, because `dotnet
// watch` stops working if a folder is moved out of its tree: first files of the previous commit,
// which removed lists, then the app's own.
func (u *update) replaceFolder(at *dirCursor, file, staged string, removed []entry) error {
	first, _ := slices.BinarySearchFunc(removed, file+"/",
		func(e entry, p string) int { return strings.Compare(e.path, p) })
	for _, e := range removed[first:] {
		if !strings.HasPrefix(e.path, file+"/") {
			break
		}
		if err := u.remove(at, e.path); err != nil && u.ctx.Err() != nil {
			return err // removeTree deals with other errors
		}
	}
	at.close()
	in, err := at.folderOf(file)
	if err != nil {
		return err
	}
	name := path.Base(file)
	foreign := u.removeTree(in, name)
	if err := u.ctx.Err(); err != nil {
		return err
	}
	err = u.stage.moveIn(staged, in, name)
	if errors.Is(err, unix.EISDIR) { // its modes forbid it, or the app is still writing there
		foreign = true
		if err = u.stage.moveOut(in, name); err == nil {
			err = u.stage.moveIn(staged, in, name)
		}
	}
	if err != nil {
		return fmt.Errorf("%s is in the way: %w", file, err)
	}
	if foreign {
		u.changes.Displaced = append(u.changes.Displaced, file)
	}
	u.changes.Written++
	return nil
}

// removeTree removes a folder and its content, files before folders, as far as possible. It reports
// whether it removed a file that was not in the previous commit.
func (u *update) removeTree(in folder, name string) (foreign bool) {
	dir, err := in.subfolder(name)
	if err != nil {
		return false
	}
	defer dir.Close()
	if info, err := dir.Stat(); err == nil && info.Mode().Perm()&0o300 != 0o300 {
		dir.Chmod(0o755) // else only root could empty it
	}
	names, _ := dir.Readdirnames(-1) // what is not listed keeps the folder in place
	var folders []string
	for _, n := range names {
		if u.ctx.Err() != nil {
			return foreign
		}
		if _, isFolder, _ := dir.stat(n); isFolder {
			folders = append(folders, n)
		} else if dir.remove(n) == nil {
			_, ours := u.before[path.Join(dir.path, n)]
			foreign = foreign || !ours
		}
	}
	for _, n := range folders {
		foreign = u.removeTree(dir, n) || foreign
	}
	in.removeFolder(name)
	return foreign
}

// isInside reports whether file is in one of dirs or deeper.
func isInside(file string, dirs map[string]bool) bool {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		if dirs[dir] {
			return true
		}
	}
	return false
}

// remove removes a file that is not in the new commit. It leaves a folder that the app has put
// there, and everything behind links.
func (u *update) remove(at *dirCursor, file string) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	in, err := at.folderOf(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || isNoFolder(err) {
			return nil
		}
		return err
	}
	name := path.Base(file)
	err = in.remove(name)
	if there, isFolder, e := in.stat(name); e == nil && (isFolder || !there) {
		return nil
	}
	return err
}

// removeEmptyFolders removes the empty parents of removed files. It ignores errors.
func (u *update) removeEmptyFolders(at *dirCursor, removed []entry) {
	var dirs []string
	for _, e := range removed {
		if dir := path.Dir(e.path); dir != "." && (len(dirs) == 0 || dirs[len(dirs)-1] != dir) {
			dirs = append(dirs, dir)
		}
	}
	// inner ones first
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, dir := range dirs {
		for ; dir != "."; dir = path.Dir(dir) {
			in, err := at.folderOf(dir)
			if err == nil {
				err = in.removeFolder(path.Base(dir))
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
	}
}
