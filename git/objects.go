package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// Objects reads the objects of a repository in this process, including its quarantine. Open it for
// a few reads and close it afterwards. Opening reads nothing. It finds objects that git repacks
// meanwhile.
type Objects struct {
	storer.EncodedObjectStorer // the repository's, for methods that are not overridden
	repo                       Repo
	layers                     []*filesystem.Storage // quarantine, then repository
}

// Objects opens the repository's objects for reading. Close the result.
func (r Repo) Objects() *Objects {
	o := &Objects{repo: r}
	o.open()
	return o
}

func (o *Objects) open() {
	o.layers = nil
	if o.repo.Quarantine.Objects != "" {
		// go-git expects a folder that contains objects/, but a quarantine is such a folder itself.
		o.layers = append(o.layers, newLayer(objectsDirFS{osfs.New(o.repo.Quarantine.Objects)}))
	}
	base := newLayer(osfs.New(o.repo.Dir))
	o.layers = append(o.layers, base)
	o.EncodedObjectStorer = base
}

// Close closes the open packs.
func (o *Objects) Close() error {
	var errs []error
	for _, l := range o.layers {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

const (
	largeObject = 1 << 20 // bytes; larger ones are streamed
	objectCache = 1 << 20 // bytes; mostly bases of deltas
)

// EncodedObject implements [storer.EncodedObjectStorer].
func (o *Objects) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (obj plumbing.EncodedObject,
	err error) {
	err = o.eachLayer(func(l *filesystem.Storage) error {
		obj, err = l.EncodedObject(t, h)
		return err
	})
	return obj, err
}

// EncodedObjectSize implements [storer.EncodedObjectStorer].
func (o *Objects) EncodedObjectSize(h plumbing.Hash) (size int64, err error) {
	err = o.eachLayer(func(l *filesystem.Storage) error {
		size, err = l.EncodedObjectSize(h)
		return err
	})
	return size, err
}

// HasEncodedObject implements [storer.EncodedObjectStorer].
func (o *Objects) HasEncodedObject(h plumbing.Hash) error {
	return o.eachLayer(func(l *filesystem.Storage) error { return l.HasEncodedObject(h) })
}

// eachLayer calls find for each layer until one has the object.
func (o *Objects) eachLayer(find func(*filesystem.Storage) error) error {
	return o.retry(func() error {
		for _, l := range o.layers {
			if err := find(l); !errors.Is(err, plumbing.ErrObjectNotFound) {
				return err
			}
		}
		return plumbing.ErrObjectNotFound
	})
}

// retry calls read, and again with reopened packs if something was missing, because git may have
// repacked the repository meanwhile.
func (o *Objects) retry(read func() error) error {
	err := read()
	if !errors.Is(err, plumbing.ErrObjectNotFound) && !errors.Is(err, dotgit.ErrPackfileNotFound) &&
		!errors.Is(err, fs.ErrNotExist) {
		return err
	}
	o.Close()
	o.open()
	return read()
}

// tree reads a tree.
func (o *Objects) tree(h plumbing.Hash) (tree *object.Tree, err error) {
	err = o.retry(func() error {
		tree, err = object.GetTree(o, h)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", h, err)
	}
	return tree, nil
}

// content opens the content of a file or link. Objects over 1 MiB are streamed from disk.
func (o *Objects) content(h plumbing.Hash) (r io.ReadCloser, err error) {
	err = o.retry(func() error {
		obj, err := o.EncodedObject(plumbing.BlobObject, h)
		if err == nil {
			r, err = obj.Reader()
		}
		return err
	})
	return r, err
}

// Commit is a commit without its message and authors.
type Commit struct {
	Hash    string
	Tree    string
	Parents []string
	Subject string // first line of the message; may contain anything
}

// ErrNotCommit means that an object is not a commit.
var ErrNotCommit = errors.New("not a commit")

// maxCommit is the maximum size of a commit that is read into memory.
const maxCommit = 1 << 20

// Commit reads a commit. The error wraps [ErrNotCommit] for other objects, and
// [plumbing.ErrObjectNotFound] if there is none.
func (o *Objects) Commit(hash string) (Commit, error) {
	h := plumbing.NewHash(hash)
	size, err := o.EncodedObjectSize(h)
	if err != nil {
		return Commit{}, fmt.Errorf("commit %s: %w", Short(hash), err)
	}
	obj, err := o.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return Commit{}, fmt.Errorf("commit %s: %w", Short(hash), err)
	}
	if obj.Type() != plumbing.CommitObject {
		return Commit{}, fmt.Errorf("%w but a %s: %s", ErrNotCommit, obj.Type(), Short(hash))
	}
	if size > maxCommit {
		return Commit{}, fmt.Errorf("commit %s: it is larger than 1 MiB", Short(hash))
	}
	c, err := object.DecodeCommit(o, obj)
	if err != nil {
		return Commit{}, fmt.Errorf("commit %s: %w", Short(hash), err)
	}
	subject, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
	commit := Commit{Hash: hash, Tree: c.TreeHash.String(), Subject: subject}
	for _, p := range c.ParentHashes {
		commit.Parents = append(commit.Parents, p.String())
	}
	return commit, nil
}

// IsAncestor reports whether old is new or an ancestor of new. It reads at most limit commits;
// known is false if that was not enough.
func (o *Objects) IsAncestor(ctx context.Context, old, new string, limit int) (is, known bool,
	err error) {
	seen := map[string]bool{new: true}
	for next := []string{new}; len(next) > 0; next = next[1:] {
		if next[0] == old {
			return true, true, nil
		}
		if limit--; limit < 0 {
			return false, false, nil
		}
		if err := ctx.Err(); err != nil {
			return false, false, err
		}
		c, err := o.Commit(next[0])
		if err != nil {
			return false, false, err
		}
		for _, p := range c.Parents {
			if !seen[p] {
				seen[p] = true
				next = append(next, p)
			}
		}
	}
	return false, true, nil
}

func newLayer(dir billy.Filesystem) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(gitVisibleFS{dir}, cache.NewObjectLRU(objectCache),
		filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: largeObject})
}
