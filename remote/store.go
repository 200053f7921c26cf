package remote

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"

	"paas/durable"
	"paas/git"
)

// store is the bare repository that commits are fetched into. Its only branch points at the last
// complete commit. It takes no locks and repairs nothing: a damaged store is replaced.
type store struct {
	dir        string
	limits     limits
	onReceived func() // called when the whole pack has arrived; may be nil

	indexes []*idxfile.MemoryIndex // of the packs in the store
}

type limits struct {
	pack int64 // bytes of a pack, and of all packs before the store is replaced
	file int64 // bytes of an object
}

const (
	branch   = "upstream"
	maxPacks = 10 // each fetch adds one; then the store is replaced
)

func (s *store) packDir() string { return filepath.Join(s.dir, "objects", "pack") }

// create creates an empty store.
func (s *store) create() error {
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	return git.Init(s.dir, branch)
}

// replace moves the store to dir. If it is interrupted, dir may be missing; the next fetch creates
// it.
func (s *store) replace(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(s.dir, dir)
}

// load reads the indexes and returns the commit fetched last, whose files may be incomplete. It
// returns "" if a fresh store is better.
func (s *store) load(ctx context.Context) (commit string, err error) {
	repo := git.Repo{Dir: s.dir}
	if err := repo.Check(); err != nil {
		return "", err
	}
	if commit, err = repo.Ref(git.Branch(branch)); err != nil {
		return "", err
	}
	names, err := filepath.Glob(filepath.Join(s.packDir(), "*.idx"))
	if err != nil {
		return "", err
	}
	if len(names) == 0 || len(names) >= maxPacks {
		return "", nil
	}
	var total int64
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		index, size, err := readPack(name)
		if err != nil {
			return "", err
		}
		s.indexes = append(s.indexes, index)
		if total += size; total > s.limits.pack {
			return "", nil
		}
	}
	left, _ := filepath.Glob(filepath.Join(s.packDir(), tempPattern))
	for _, name := range left { // left by a fetch that was killed
		os.Remove(name)
	}
	return commit, nil
}

// readPack reads a pack's index and verifies the pack's checksum, because a kill or a power cut can
// leave a partial pack. It reads about a gigabyte per second, and only before a fetch.
func readPack(name string) (*idxfile.MemoryIndex, int64, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, 0, err
	}
	index := idxfile.NewMemoryIndex()
	if err := idxfile.NewDecoder(bytes.NewReader(content)).Decode(index); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	pack := strings.TrimSuffix(name, ".idx") + ".pack"
	f, err := os.Open(pack)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	h, sum := sha1.New(), make([]byte, sha1.Size)
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if _, err = io.CopyN(h, f, info.Size()-sha1.Size); err == nil {
		_, err = io.ReadFull(f, sum)
	}
	if err != nil || !bytes.Equal(sum, h.Sum(nil)) || !bytes.Equal(sum, index.PackfileChecksum[:]) {
		return nil, 0, errors.Join(fmt.Errorf("%s is damaged", filepath.Base(pack)), err)
	}
	return index, info.Size(), nil
}

// add fetches a commit into the store. have is a commit that is complete in it, or "". The error is
// a [*storeError] if a fresh store may help.
func (s *store) add(ctx context.Context, from *session, commit, have string) error {
	shallow, err := s.shallow()
	if err != nil {
		return &storeError{err}
	}
	p, err := from.fetch(fetchRequest{commit: commit, have: have, shallow: shallow})
	if err != nil {
		return err
	}
	file, bases, err := s.receive(p)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	if s.onReceived != nil {
		s.onReceived()
	}
	if err := s.completeThin(ctx, file, bases); err != nil {
		return &storeError{err}
	}
	if err := s.install(ctx, file); err != nil {
		return &storeError{err}
	}
	for _, c := range p.shallow {
		if !slices.Contains(shallow, c) {
			shallow = append(shallow, c)
		}
	}
	shallow = slices.DeleteFunc(shallow,
		func(c string) bool { return slices.Contains(p.unshallow, c) })
	if err := s.write("shallow", strings.Join(append(shallow, ""), "\n")); err != nil {
		return &storeError{err}
	}
	if err := s.verify(ctx, commit); err != nil {
		return err
	}
	if err := s.write(git.Branch(branch), commit+"\n"); err != nil {
		return &storeError{err}
	}
	return nil
}

// shallow returns the commits that are stored without their history (gitrepository-layout(5)).
func (s *store) shallow() ([]string, error) {
	content, err := os.ReadFile(filepath.Join(s.dir, "shallow"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	commits := strings.Fields(string(content))
	if slices.ContainsFunc(commits, func(c string) bool { return !isCommit(c) }) {
		return nil, errors.New("the file shallow is damaged")
	}
	return commits, err
}

// write replaces a small file atomically.
func (s *store) write(name, content string) error {
	path := filepath.Join(s.dir, name)
	return durable.Replace(path, path+".new", []byte(content), 0o644)
}

// verify checks that all files of the commit are in the store and that git would accept them in a
// push. The error is a [*storeError], or wraps ErrBroken if fetching again cannot help.
func (s *store) verify(ctx context.Context, commit string) error {
	objects := git.Repo{Dir: s.dir}.Objects()
	defer objects.Close()
	err := objects.Fsck(ctx, commit, s.has)
	var broken *git.BrokenObject
	switch {
	case err == nil:
		return nil
	case errors.As(err, &broken):
		return errorf(ErrBroken,
			"git would refuse the commit in a push: %s; git fsck shows what is broken, make the "+
				"commit again", printable(broken.Error()))
	case errors.Is(err, plumbing.ErrObjectNotFound):
		err = fmt.Errorf("the server did not send everything: %w", err)
	}
	return &storeError{err}
}

func (s *store) has(h plumbing.Hash) bool {
	return slices.ContainsFunc(s.indexes, func(p *idxfile.MemoryIndex) bool {
		ok, err := p.Contains(h)
		return ok && err == nil
	})
}
