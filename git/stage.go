package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"paas/durable"
)

// stage is a temporary folder of one update that the app does not see. Files are written to it and
// then renamed into place. A staged file is named by its index in the list.
type stage struct {
	folder
	dir      string
	movedOut int // number of files moved here out of the way
}

// stage creates an empty stage.
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

// fill writes entries to the stage.
func (s *stage) fill(ctx context.Context, o *Objects, entries []entry) error {
	return o.contents(ctx, entries, func(contents <-chan content) error {
		for c := range contents {
			err := c.write(s.folder, strconv.Itoa(c.index))
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// moveIn moves a staged file into place, for the owner of the folder, and sets its times to now. With
// an earlier time, make would assume that a build that ran meanwhile has already read it.
func (s *stage) moveIn(staged string, to folder, name string) error {
	uid, gid, err := to.owner()
	if err == nil { // nobody else can reach what is staged
		err = s.chown(staged, uid, gid)
	}
	if err == nil {
		err = s.touch(staged)
	}
	if err != nil {
		return err
	}
	return s.rename(staged, to, name)
}

// moveOut moves an entry of a folder to the stage.
func (s *stage) moveOut(in folder, name string) error {
	s.movedOut++
	return in.rename(name, s.folder, "taken-"+strconv.Itoa(s.movedOut))
}

// replace writes a file atomically and durably.
func (s *stage) replace(path string, content []byte) error {
	tmp := filepath.Join(s.dir, "replacement")
	return durable.Replace(path, tmp, content, 0o644) // watchers may run as another user
}

// remove removes the stage. It ignores errors: files whose modes forbid removal are left to the
// owner of Temp, and the update has succeeded anyway.
func (s *stage) remove() {
	s.Close()
	os.RemoveAll(s.dir)
}
