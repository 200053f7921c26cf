package git

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// Zero is the object name that stands for "none".
const Zero = "0000000000000000000000000000000000000000"

// Branch is the full name of a branch's reference.
func Branch(name string) string { return "refs/heads/" + name }

// Short is the object name as people are shown it.
func Short(commit string) string { return commit[:min(7, len(commit))] }

// Ref is what the reference called name (refs/heads/main) points at, empty where there is none. It
// reads the disk each time and runs no git.
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

// Branches lists the branches there are. It reads the disk and runs no git.
func (r Repo) Branches() (names []string, err error) {
	refs, err := r.refs()
	for _, ref := range refs {
		if ref.Name().IsBranch() {
			names = append(names, ref.Name().Short())
		}
	}
	return names, err
}

// refs are all references there are.
func (r Repo) refs() ([]*plumbing.Reference, error) {
	return dotgit.New(unlocked{osfs.New(r.Dir)}).Refs()
}

// unlocked is a repository's folder without the lock files, in which git writes a reference before it is one:
// go-git takes them for references, or, while they are empty, for broken ones. None ends so
// (git-check-ref-format(1)).
type unlocked struct{ billy.Filesystem }

func (u unlocked) ReadDir(path string) ([]os.FileInfo, error) {
	files, err := u.Filesystem.ReadDir(path)
	return slices.DeleteFunc(files, func(f os.FileInfo) bool { return strings.HasSuffix(f.Name(), ".lock") }), err
}

// SetRef moves the reference from old to new; empty stands for none, so SetRef(ctx, name, old, "")
// deletes it. It fails where the reference is not at old any more. One git process.
func (r Repo) SetRef(ctx context.Context, name, old, new string) error {
	_, err := r.run(ctx, nil, "update-ref", name, cmp.Or(new, Zero), cmp.Or(old, Zero))
	return err
}

// Head is the branch a clone checks out, empty where HEAD names none.
func (r Repo) Head() (string, error) {
	content, err := os.ReadFile(filepath.Join(r.Dir, "HEAD"))
	name, _ := strings.CutPrefix(strings.TrimSpace(string(content)), "ref: refs/heads/")
	if strings.HasPrefix(name, "ref:") {
		name = ""
	}
	return name, err
}

// SetHead makes branch the one a clone checks out. One git process.
func (r Repo) SetHead(ctx context.Context, branch string) error {
	_, err := r.run(ctx, nil, "symbolic-ref", "HEAD", Branch(branch))
	return err
}

// CountDropped counts the commits that old has and new has not; new may be empty. It fails where a
// commit in between is missing. One git process.
func (r Repo) CountDropped(ctx context.Context, old, new string) (string, error) {
	args := []string{"rev-list", "--count", "--end-of-options", old}
	if new != "" {
		args = append(args, "^"+new)
	}
	return r.run(ctx, nil, args...)
}

// IsAncestor says whether old is an ancestor of new, or new itself. One git process; see
// [Objects.IsAncestor].
func (r Repo) IsAncestor(ctx context.Context, old, new string) (bool, error) {
	_, err := r.run(ctx, nil, "merge-base", "--is-ancestor", "--end-of-options", old, new)
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}
