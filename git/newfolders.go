package git

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"paas/pause"
)

// watcherDelay is how long a new folder exists before its first file appears. A watcher learns of
// the folder and then adds a watch for it; `dotnet watch` and `inotifywait -r` miss a file that
// appears in between. 50 ms were enough for every watcher we tried.
const watcherDelay = 50 * time.Millisecond

// levels are new folders by depth: each folder's parent exists or is in the level before. Levels
// are made one after the other, because `inotifywait -r` lists a new folder before it adds a watch,
// and misses folders that appear in between. Moving a complete tree into place is no alternative:
// Python's watchdog does not watch such a tree.
type levels [][]string

// levelsOf groups dirs, which must be sorted.
func levelsOf(dirs []string) (l levels) {
	level := make(map[string]int, len(dirs))
	for _, dir := range dirs {
		n, ok := level[path.Dir(dir)]
		if ok {
			n++
		}
		level[dir] = n
		if n == len(l) {
			l = append(l, nil)
		}
		l[n] = append(l[n], dir)
	}
	return l
}

// newFolders returns the folders of entries that do not exist below root, sorted. A blocked one is
// itself, or is below, the name of a file or link; the others are free.
func newFolders(entries []entry, root folder) (free, blocked []string, err error) {
	at := dirCursor{root: root, openSub: folder.subfolder}
	defer at.close()
	seen := map[string]bool{".": true}
	for _, e := range entries {
		dir := path.Dir(e.path)
		if seen[dir] {
			continue
		}
		_, err := at.folderOf(e.path)
		list := &free
		switch {
		case err == nil:
			seen[dir] = true
			continue
		case isNoFolder(err):
			list = &blocked
		case !errors.Is(err, fs.ErrNotExist):
			return nil, nil, err
		}
		var first *fs.PathError // path of the outermost one
		if !errors.As(err, &first) {
			return nil, nil, err
		}
		for ; !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			*list = append(*list, dir)
			if dir == first.Path {
				break
			}
		}
	}
	slices.Sort(free)
	slices.Sort(blocked)
	return free, blocked, nil
}

// makeFolders makes folders with openSub and pauses for a fifth of watcherDelay between levels. It
// skips a folder whose name the app takes meanwhile.
func (u *update) makeFolders(dirs levels, step func(in folder, name string) (folder, error)) error {
	at := dirCursor{root: u.root, openSub: step}
	defer at.close()
	for i, level := range dirs {
		if i > 0 {
			if err := pause.For(u.ctx, u.watcherDelay/5, nil); err != nil {
				return err
			}
		}
		for _, dir := range level {
			if err := u.ctx.Err(); err != nil {
				return err
			}
			if _, err := at.folderOf(path.Join(dir, "file")); err != nil && !isNoFolder(err) {
				return err
			}
		}
		u.lastFolder = time.Now()
	}
	return nil
}

// awaitWatchers waits until the last new folder is watcherDelay old. It returns at once if none was
// made.
func (u *update) awaitWatchers() error {
	if err := u.ctx.Err(); err != nil || u.lastFolder.IsZero() {
		return err
	}
	return pause.For(u.ctx, u.watcherDelay-time.Since(u.lastFolder), nil)
}

// removeFolders removes the empty folders among dirs, which must be sorted.
func (u *update) removeFolders(dirs []string) {
	at := dirCursor{root: u.root, openSub: folder.subfolder}
	defer at.close()
	for _, dir := range slices.Backward(dirs) {
		if in, err := at.folderOf(dir); err == nil {
			in.removeFolder(path.Base(dir)) // fails for folders in use
		}
	}
}
