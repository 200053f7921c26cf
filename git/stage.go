package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// stage is a folder of one update, out of the app's sight: there files are written before they are
// renamed to their place, and there what stood in their way ends. A file staged is called by its
// number in the list.
type stage struct {
	folder
	dir   string
	taken int // what was moved here out of the way
}

// stage writes entries into a stage. A failure leaves none.
func (w Worktree) stage(ctx context.Context, o *Objects, entries []entry) (*stage, error) {
	dir, err := os.MkdirTemp(w.Temp, "worktree-")
	if err != nil {
		return nil, err
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	s := &stage{folder: f, dir: dir}
	err = o.contents(ctx, entries, func(contents <-chan content) error {
		for c := range contents {
			err := c.write(s.folder, strconv.Itoa(c.number))
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// take moves what is called name in a folder to the stage, and returns where it is now.
func (s *stage) take(in folder, name string) (string, error) {
	s.taken++
	to := "taken-" + strconv.Itoa(s.taken)
	return filepath.Join(s.dir, to), in.move(name, s.folder, to)
}

// replace writes a file whole: whoever reads path, and whatever is left after a power cut, is the
// old content or the new.
func (s *stage) replace(path string, content []byte) error {
	tmp := filepath.Join(s.dir, "replacement")
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644) // whoever watches may be another user
	}
	if err == nil {
		err = f.Sync() // else a crash can leave an empty file behind the new name
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// remove removes the stage with all that is in it. What the app's own modes forbid to remove is
// left to who owns Temp: the update is done all the same.
func (s *stage) remove() {
	s.Close()
	os.RemoveAll(s.dir)
}
