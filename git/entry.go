package git

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// entry is a file of a commit.
type entry struct {
	path string // with slashes; every part satisfies safeName
	hash plumbing.Hash
	mode filemode.FileMode // Regular, Executable or Symlink
}

// maxEntries is the maximum number of files and folders to list. [Inspector] refuses far fewer;
// this limit is for trees that were not inspected and contain themselves many times.
const maxEntries = 2 << 20

// files lists the files of commit, folder by folder, without those of submodules. It refuses a
// commit that cannot be written exactly: unsafe names, and a name that occurs twice in a folder.
func (o *Objects) files(ctx context.Context, commit string) ([]entry, error) {
	c, err := o.Commit(commit)
	if err != nil {
		return nil, err
	}
	l := listing{objects: o, ctx: ctx, remaining: maxEntries}
	err = l.tree(plumbing.NewHash(c.Tree), "", 0)
	return l.entries, err
}

// listing is the state of [Objects.files].
type listing struct {
	objects   *Objects
	ctx       context.Context
	remaining int // how many more files and folders are allowed
	entries   []entry
}

// tree lists the files of a tree.
func (l *listing) tree(h plumbing.Hash, at string, depth int) error {
	entries, err := l.folder(h, at, depth)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.add(e, at, depth); err != nil {
			return err
		}
	}
	return nil
}

// folder reads the entries of one tree.
func (l *listing) folder(h plumbing.Hash, at string, depth int) ([]object.TreeEntry, error) {
	if err := l.ctx.Err(); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: more than %d folders inside each other", at, maxDepth)
	}
	size, err := l.objects.EncodedObjectSize(h)
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", h, err)
	}
	if size > maxFolder {
		return nil, fmt.Errorf("the folder %s/ contains too many files", at)
	}
	t, err := l.objects.tree(h)
	if err != nil {
		return nil, err
	}
	names := make(map[string]struct{}, len(t.Entries))
	for _, e := range t.Entries {
		if !safeName(e.Name) {
			return nil, fmt.Errorf("%q in the folder %q: not a valid file name", e.Name, at)
		}
		if _, twice := names[e.Name]; twice {
			return nil, fmt.Errorf("%s: name occurs twice in its folder", path.Join(at, e.Name))
		}
		names[e.Name] = struct{}{}
		if l.remaining--; l.remaining < 0 {
			return nil, errors.New("the commit has too many files and folders")
		}
	}
	return t.Entries, nil
}

// add lists an entry of the folder at.
func (l *listing) add(e object.TreeEntry, at string, depth int) error {
	name := path.Join(at, e.Name)
	switch e.Mode {
	case filemode.Dir:
		return l.tree(e.Hash, name, depth+1)
	case filemode.Submodule:
	case filemode.Deprecated: // group-writable, as git wrote files in 2005
		l.entries = append(l.entries, entry{name, e.Hash, filemode.Regular})
	case filemode.Regular, filemode.Executable, filemode.Symlink:
		l.entries = append(l.entries, entry{name, e.Hash, e.Mode})
	default:
		return fmt.Errorf("%s: neither a file, a folder nor a link", name)
	}
	return nil
}
