package git

import (
	"context"
	"path"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// ChangeTree turns dir, which holds exactly the files of the commit from, as [Objects.WriteTree]
// writes them, into those of the commit to. It reads, writes and removes only what differs. Nobody
// else may write to dir meanwhile. Owners and errors are as with WriteTree; after an error, dir may
// hold neither commit.
func (o *Objects) ChangeTree(ctx context.Context, from, to, dir string) error {
	old, err := o.Commit(from)
	if err != nil {
		return err
	}
	commit, err := o.Commit(to)
	if err != nil {
		return err
	}
	c := change{listing: listing{objects: o, ctx: ctx, remaining: maxEntries}}
	if err := c.compare(plumbing.NewHash(old.Tree), plumbing.NewHash(commit.Tree), "", 0); err != nil {
		return err
	}
	top, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer top.Close()
	at := dirCursor{root: top, openSub: folder.subfolder}
	defer at.close()
	for _, name := range c.gone {
		in, err := at.folderOf(name)
		if err == nil {
			err = in.removeAll(path.Base(name))
		}
		if err != nil {
			return err
		}
	}
	return o.writeFiles(ctx, c.entries, top)
}

// change is a listing of the files that differ between two trees.
type change struct {
	listing
	gone []string // files and folders of the first tree to remove before the files are written
}

// compare adds the differences between two trees.
func (c *change) compare(from, to plumbing.Hash, at string, depth int) error {
	if from == to {
		return nil
	}
	before, err := c.folder(from, at, depth)
	if err != nil {
		return err
	}
	after, err := c.folder(to, at, depth)
	if err != nil {
		return err
	}
	old := make(map[string]object.TreeEntry, len(before))
	for _, e := range before {
		old[e.Name] = e
	}
	for _, e := range after {
		was, there := old[e.Name]
		if there && was.Mode == filemode.Dir && e.Mode == filemode.Dir {
			delete(old, e.Name)
			if err := c.compare(was.Hash, e.Hash, path.Join(at, e.Name), depth+1); err != nil {
				return err
			}
			continue
		}
		if there && was == e {
			delete(old, e.Name)
			continue
		}
		if err := c.add(e, at, depth); err != nil {
			return err
		}
	}
	for name := range old {
		c.gone = append(c.gone, path.Join(at, name))
	}
	return nil
}
