package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"paas/durable"
)

// stage is a folder of one update that the app does not see. Files are written there and then renamed
// to their places. The name of a staged file is its number in the list.
type stage struct {
	folder
	dir   string
	taken int // what was moved here out of the way
}

// stage makes an empty stage.
func (w Worktree) stage() (*stage, error) {
	dir, err := os.MkdirTemp(w.Temp, "worktree-")
	if err != nil {
		return nil, err
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &stage{folder: f, dir: dir}, nil
}

// fill writes entries into the stage.
func (s *stage) fill(ctx context.Context, o *Objects, entries []entry) error {
	return o.contents(ctx, entries, func(contents <-chan content) error {
		for c := range contents {
			err := c.write(s.folder, strconv.Itoa(c.number))
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// place moves a staged file to its place, and sets its times to now. With the time when it was staged,
// make would take a build that ran meanwhile for one that has read it.
func (s *stage) place(staged string, to folder, name string) error {
	if err := s.touch(staged); err != nil {
		return err
	}
	return s.move(staged, to, name)
}

// take moves what is called name in a folder to the stage.
func (s *stage) take(in folder, name string) error {
	s.taken++
	return in.move(name, s.folder, "taken-"+strconv.Itoa(s.taken))
}

// replace writes a file whole.
func (s *stage) replace(path string, content []byte) error {
	return durable.Replace(path, filepath.Join(s.dir, "replacement"), content, 0o644) // the watcher may be another user
}

// remove removes the stage with all that is in it. What the app's own modes forbid to remove is
// left to who owns Temp: the update is done all the same.
func (s *stage) remove() {
	s.Close()
	os.RemoveAll(s.dir)
}
