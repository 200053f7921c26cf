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

// update is one update of a worktree, while its folder changes.
type update struct {
	ctx     context.Context
	before  map[string]entry
	stage   *stage
	root    folder
	ahead   time.Duration // how long a new folder is there before its first file
	made    time.Time     // when the last new folder was made; zero: none was
	changes Changes
}

// prepare makes the new folders and stages the files. It flushes them, or a power cut could leave a
// new name without its content. It returns once watchers had time for the folders.
func (u *update) prepare(o *Objects, changed []entry, folders levels) error {
	if err := u.makeFolders(folders, folder.make); err != nil {
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

// run moves the staged files of d to their places: new ones, then changed ones. Then it removes those
// that are gone, and last the folders that give way to a file.
func (u *update) run(d difference) error {
	if err := u.makeFolders(d.blocked, u.way); err != nil {
		return err
	}
	if err := u.awaitWatchers(); err != nil {
		return err
	}
	at := place{root: u.root, step: u.way}
	defer at.close()
	var late []int // files with a folder in their place
	folders := map[string]bool{}
	for _, isNew := range []bool{true, false} {
		for i, e := range d.changed {
			if _, ours := u.before[e.path]; ours == isNew {
				continue
			}
			err := u.put(&at, e.path, strconv.Itoa(i))
			if errors.Is(err, unix.EISDIR) {
				late, folders[e.path] = append(late, i), true
			} else if err != nil {
				return err
			}
		}
	}
	at.close() // a folder that was taken away may be open
	at.step = folder.sub
	u.changes.Removed = len(d.gone)
	gone := slices.DeleteFunc(slices.Clone(d.gone), func(e entry) bool { return liesIn(e.path, folders) })
	for _, e := range gone {
		if err := u.remove(&at, e.path); err != nil {
			return err
		}
	}
	u.removeFolders(d.folders) // first, or they keep what is around them from being removed
	u.prune(&at, gone)
	for _, i := range late {
		if err := u.replaceFolder(&at, d.changed[i].path, strconv.Itoa(i), d.gone); err != nil {
			return err
		}
	}
	slices.Sort(u.changes.Displaced)
	u.changes.Displaced = slices.Compact(u.changes.Displaced)
	return nil
}

// way opens a folder on the way to a file. It makes the folder if there is none, and first removes
// anything else of that name.
func (u *update) way(in folder, name string) (folder, error) {
	next, err := in.make(name)
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
	return in.make(name)
}

// put moves a staged file to its place. The error is EISDIR where a folder is there.
func (u *update) put(at *place, file, staged string) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	in, err := at.of(file)
	if err != nil {
		return err
	}
	name := path.Base(file)
	if _, ours := u.before[file]; !ours {
		switch there, isFolder, err := in.has(name); {
		case err != nil:
			return err
		case there && !isFolder:
			u.changes.Displaced = append(u.changes.Displaced, file)
		}
	}
	if err := u.stage.place(staged, in, name); err != nil {
		return err
	}
	u.changes.Written++
	return nil
}

// replaceFolder removes the folder in the place of file, and moves the staged file there. It empties
// the folder where it is, since `dotnet watch` goes blind when a folder is moved out of its tree.
// Files of the commit before, which gone lists, go first, and the app's own after them.
func (u *update) replaceFolder(at *place, file, staged string, gone []entry) error {
	first, _ := slices.BinarySearchFunc(gone, file+"/", func(e entry, p string) int { return strings.Compare(e.path, p) })
	for _, e := range gone[first:] {
		if !strings.HasPrefix(e.path, file+"/") {
			break
		}
		if err := u.remove(at, e.path); err != nil && u.ctx.Err() != nil {
			return err // any other is for removeTree to deal with
		}
	}
	at.close()
	in, err := at.of(file)
	if err != nil {
		return err
	}
	name := path.Base(file)
	foreign := u.removeTree(in, name)
	if err := u.ctx.Err(); err != nil {
		return err
	}
	err = u.stage.place(staged, in, name)
	if errors.Is(err, unix.EISDIR) { // the app's own modes forbid it, or the app goes on writing there
		foreign = true
		if err = u.stage.take(in, name); err == nil {
			err = u.stage.place(staged, in, name)
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

// removeTree removes the folder called name and all in it, files before folders, as far as possible.
// It reports whether it removed a file that the commit before did not have.
func (u *update) removeTree(in folder, name string) (foreign bool) {
	dir, err := in.sub(name)
	if err != nil {
		return false
	}
	defer dir.Close()
	if info, err := dir.Stat(); err == nil && info.Mode().Perm()&0o300 != 0o300 {
		dir.Chmod(0o755) // else only root could empty it
	}
	names, _ := dir.Readdirnames(-1) // what it does not list stays, and so the folder
	var folders []string
	for _, n := range names {
		if u.ctx.Err() != nil {
			return foreign
		}
		if _, isFolder, _ := dir.has(n); isFolder {
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

// liesIn says whether file lies in one of dirs, or deeper.
func liesIn(file string, dirs map[string]bool) bool {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		if dirs[dir] {
			return true
		}
	}
	return false
}

// remove removes a file that the commit has no more. A folder that the app has put in its place
// stays, and so does all that is behind a link.
func (u *update) remove(at *place, file string) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	in, err := at.of(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || isNoFolder(err) {
			return nil
		}
		return err
	}
	name := path.Base(file)
	err = in.remove(name)
	if there, isFolder, e := in.has(name); e == nil && (isFolder || !there) {
		return nil
	}
	return err
}

// prune removes the folders that files were removed from, and those around them, as far as they
// are empty. One that cannot be removed does no harm.
func (u *update) prune(at *place, gone []entry) {
	var dirs []string
	for _, e := range gone {
		if dir := path.Dir(e.path); dir != "." && (len(dirs) == 0 || dirs[len(dirs)-1] != dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // inner ones first
	for _, dir := range dirs {
		for ; dir != "."; dir = path.Dir(dir) {
			in, err := at.of(dir)
			if err == nil {
				err = in.removeFolder(path.Base(dir))
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
	}
}
