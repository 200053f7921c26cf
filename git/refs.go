package git

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// Zero is the object name that means "none".
const Zero = "0000000000000000000000000000000000000000"

// Branch returns the full name of a branch's reference.
func Branch(name string) string { return "refs/heads/" + name }

// Short returns the abbreviated object name.
func Short(commit string) string { return commit[:min(7, len(commit))] }

// Ref returns the object that a reference such as refs/heads/main points at, or "". It reads the
// disk and runs no git.
func (r Repo) Ref(name string) (string, error) {
	ref, err := dotgit.New(osfs.New(r.Dir)).Ref(plumbing.ReferenceName(name))
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if ref.Type() != plumbing.HashReference {
		return "", errors.New(name + " is a symbolic reference")
	}
	return ref.Hash().String(), nil
}

// Branches returns the names of all branches. It reads the disk and runs no git.
func (r Repo) Branches() (names []string, err error) {
	refs, err := r.refs()
	for _, ref := range refs {
		if ref.Name().IsBranch() {
			names = append(names, ref.Name().Short())
		}
	}
	return names, err
}

// refs returns all references.
func (r Repo) refs() ([]*plumbing.Reference, error) {
	return dotgit.New(withoutLocks{osfs.New(r.Dir)}).Refs()
}

// withoutLocks is a repository's folder without git's lock files. go-git takes them for references,
// and empty ones for broken references. No reference name ends in .lock (git-check-ref-format(1)).
type withoutLocks struct{ billy.Filesystem }

// ReadDir leaves out what is removed meanwhile. Package osfs would fail then, and go-git would take
// the whole folder for empty.
func (u withoutLocks) ReadDir(path string) (files []os.FileInfo, err error) {
	entries, err := os.ReadDir(u.Join(u.Root(), path))
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".lock") {
			continue
		}
		file, infoErr := entry.Info()
		if errors.Is(infoErr, os.ErrNotExist) {
			continue
		}
		if infoErr != nil {
			return nil, infoErr
		}
		files = append(files, file)
	}
	return files, err
}

// SetRef changes a reference from old to new; "" means none, so that SetRef(ctx, name, old, "")
// deletes it. It fails if the reference is no longer at old. It runs one git process.
func (r Repo) SetRef(ctx context.Context, name, old, new string) error {
	_, err := r.run(ctx, nil, "update-ref", name, cmp.Or(new, Zero), cmp.Or(old, Zero))
	return err
}

// Head returns the branch that HEAD names, which clones check out, or "".
func (r Repo) Head() (string, error) {
	content, err := os.ReadFile(filepath.Join(r.Dir, "HEAD"))
	name, ok := strings.CutPrefix(strings.TrimSpace(string(content)), "ref: refs/heads/")
	if !ok {
		return "", err
	}
	return name, err
}

// SetHead makes HEAD name branch. It runs one git process.
func (r Repo) SetHead(ctx context.Context, branch string) error {
	_, err := r.run(ctx, nil, "symbolic-ref", "HEAD", Branch(branch))
	return err
}

// CountDropped counts the commits that are in old but not in new, which may be "". It fails if a
// commit is missing. It runs one git process.
func (r Repo) CountDropped(ctx context.Context, old, new string) (string, error) {
	args := []string{"rev-list", "--count", "--end-of-options", old}
	if new != "" {
		args = append(args, "^"+new)
	}
	return r.run(ctx, nil, args...)
}

// IsAncestor reports whether old is an ancestor of new or new itself. It runs one git process; see
// also [Objects.IsAncestor].
func (r Repo) IsAncestor(ctx context.Context, old, new string) (bool, error) {
	_, err := r.run(ctx, nil, "merge-base", "--is-ancestor", "--end-of-options", old, new)
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}
