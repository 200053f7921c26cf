package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// update is one update of a worktree, while its folder changes.
type update struct {
	ctx     context.Context
	before  map[string]entry
	stage   *stage
	root    folder
	changes Changes
}

// run brings the files of d, which are staged, to their place: new ones, changed ones, and then
// away with those that are gone.
func (u *update) run(d difference) error {
	at := place{root: u.root, step: u.way}
	defer at.close()
	for _, isNew := range []bool{true, false} {
		for i, e := range d.changed {
			if _, ours := u.before[e.path]; ours == isNew {
				continue
			}
			if err := u.put(&at, e.path, strconv.Itoa(i)); err != nil {
				return err
			}
		}
	}
	at.close() // a folder that was taken away may be open
	at.step = folder.sub
	for _, e := range d.gone {
		if err := u.remove(&at, e.path); err != nil {
			return err
		}
	}
	u.prune(&at, d.gone)
	slices.Sort(u.changes.Displaced)
	u.changes.Displaced = slices.Compact(u.changes.Displaced)
	return nil
}

// way opens a folder on the way to a file, makes it where there is none, and where there is
// something else takes that away.
func (u *update) way(in folder, name string) (folder, error) {
	next, err := in.make(name)
	if isNoFolder(err) {
		if err := u.displace(in, name); err != nil {
			return folder{}, err
		}
		return in.make(name)
	}
	return next, err
}

// put moves a staged file to its place.
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
	err = u.stage.move(staged, in, name)
	if errors.Is(err, unix.EISDIR) {
		if err := u.displace(in, name); err != nil {
			return err
		}
		err = u.stage.move(staged, in, name)
	}
	if err == nil {
		u.changes.Written++
	}
	return err
}

// displace takes away what is called name, in one step, and notes it if it was not all ours.
func (u *update) displace(in folder, name string) error {
	file := path.Join(in.path, name)
	to, err := u.stage.take(in, name)
	if err != nil {
		return fmt.Errorf("%s is in the way: %w", file, err)
	}
	if !u.ours(file, to) {
		u.changes.Displaced = append(u.changes.Displaced, file)
	}
	return nil
}

// ours says whether what was called file in the worktree, and is now at dir, is nothing but files
// of the commit before.
func (u *update) ours(file, dir string) bool {
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if _, ours := u.before[file+strings.TrimPrefix(p, dir)]; !ours {
			return fs.ErrExist
		}
		return nil
	})
	return err == nil
}

// remove removes a file that the commit has no more. A folder that the app has put in its place
// stays, and so does all that is behind a link.
func (u *update) remove(at *place, file string) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	u.changes.Removed++
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
