package git

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"paas/pause"
)

// watcherDelay is how long a new folder exists before its first file. A watcher hears of the folder
// and then asks the kernel for news of it; `dotnet watch` and `inotifywait -r` miss a file that appears
// in between. 50 ms was enough for every watcher that we tried.
const watcherDelay = 50 * time.Millisecond

// levels are new folders. None of the first level lies in another new one; those of the next level
// lie in the first, and so on. Levels are made one after the other: `inotifywait -r` lists a new folder
// before it asks for news, and misses a folder that appears in between. Moving a whole tree into place
// is no way out, because Python's watchdog does not watch a tree that was moved in.
type levels [][]string

// levelsOf takes folders that are sorted: each comes before those inside it.
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

// newFolders finds the folders of entries that do not exist below root. A blocked one has a file or a
// link in its place, or lies in a blocked one; the others are free. Both are sorted.
func newFolders(entries []entry, root folder) (free, blocked []string, err error) {
	at := place{root: root, step: folder.sub}
	defer at.close()
	seen := map[string]bool{".": true}
	for _, e := range entries {
		dir := path.Dir(e.path)
		if seen[dir] {
			continue
		}
		_, err := at.of(e.path)
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
		var first *fs.PathError // of the outermost one
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

// makeFolders makes folders by step, with a fifth of the watcherDelay between two levels. If the app
// puts something in the place of one meanwhile, that one is left for later.
func (u *update) makeFolders(dirs levels, step func(in folder, name string) (folder, error)) error {
	at := place{root: u.root, step: step}
	defer at.close()
	for i, level := range dirs {
		if i > 0 {
			if err := pause.For(u.ctx, u.ahead/5, nil); err != nil {
				return err
			}
		}
		for _, dir := range level {
			if err := u.ctx.Err(); err != nil {
				return err
			}
			if _, err := at.of(path.Join(dir, "file")); err != nil && !isNoFolder(err) {
				return err
			}
		}
		u.made = time.Now()
	}
	return nil
}

// awaitWatchers waits until the last new folder has existed for the watcherDelay. If none was made, it
// does not wait.
func (u *update) awaitWatchers() error {
	if err := u.ctx.Err(); err != nil || u.made.IsZero() {
		return err
	}
	return pause.For(u.ctx, u.ahead-time.Since(u.made), nil)
}

// removeFolders removes those of dirs, which are sorted, that are empty.
func (u *update) removeFolders(dirs []string) {
	at := place{root: u.root, step: folder.sub}
	defer at.close()
	for _, dir := range slices.Backward(dirs) {
		if in, err := at.of(dir); err == nil {
			in.removeFolder(path.Base(dir)) // one that is not empty is in use
		}
	}
}
