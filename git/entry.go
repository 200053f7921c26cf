package git

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// entry is one file of a commit.
type entry struct {
	path string // as in the commit: slashes, and no name in it that safeName refuses
	hash plumbing.Hash
	mode filemode.FileMode // Regular, Executable or Symlink
}

// maxEntries is how many files and folders of a commit are listed at most. [Inspector] refuses far
// earlier; this is for a tree that was not shown to it and holds itself many times over.
const maxEntries = 2 << 20

// list is the files of commit, folder by folder. It refuses a commit that cannot be written as it
// is: submodules, names that no file may have or that mean a repository's own folder, and one name
// twice in a folder, as a link and as a folder, say.
func (o *Objects) list(ctx context.Context, commit string) ([]entry, error) {
	c, err := o.Commit(commit)
	if err != nil {
		return nil, err
	}
	l := listing{objects: o, ctx: ctx, left: maxEntries}
	err = l.tree(plumbing.NewHash(c.Tree), "", 0)
	return l.entries, err
}

// listing is one walk through a tree.
type listing struct {
	objects *Objects
	ctx     context.Context
	left    int // files and folders that there may be yet
	entries []entry
}

func (l *listing) tree(h plumbing.Hash, at string, depth int) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if depth > maxHeight {
		return fmt.Errorf("%s: more than %d folders inside each other", at, maxHeight)
	}
	size, err := l.objects.EncodedObjectSize(h)
	if err != nil {
		return fmt.Errorf("tree %s: %w", h, err)
	}
	if size > maxFolder {
		return fmt.Errorf("the folder %s/ holds too many files", at)
	}
	t, err := l.objects.tree(h)
	if err != nil {
		return err
	}
	names := make(map[string]struct{}, len(t.Entries))
	for _, e := range t.Entries {
		if !safeName(e.Name) {
			return fmt.Errorf("%q in the folder %q: not a name for a file", e.Name, at)
		}
		name := path.Join(at, e.Name)
		if _, twice := names[e.Name]; twice {
			return fmt.Errorf("%s: twice in its folder", name)
		}
		names[e.Name] = struct{}{}
		if l.left--; l.left < 0 {
			return errors.New("the commit has too many files and folders to be listed")
		}
		switch e.Mode {
		case filemode.Dir:
			if err := l.tree(e.Hash, name, depth+1); err != nil {
				return err
			}
		case filemode.Deprecated: // group-writable, as git wrote files in 2005
			l.entries = append(l.entries, entry{name, e.Hash, filemode.Regular})
		case filemode.Regular, filemode.Executable, filemode.Symlink:
			l.entries = append(l.entries, entry{name, e.Hash, e.Mode})
		default:
			return fmt.Errorf("%s: neither a file, a folder nor a link", name)
		}
	}
	return nil
}
