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

	"paas/git"
)

// store is the bare repository that fetches go into. Its branch called upstream is at the commit
// fetched last, once that is whole.
//
// It takes no locks and mends nothing: a store that is not as it should be is replaced.
type store struct {
	dir     string
	limits  limits
	arrived func() // called when the other end has sent all; may be nil

	packs []*idxfile.MemoryIndex // what is there
}

type limits struct {
	pack int64 // bytes of a pack, and of all packs before the store is begun anew
	file int64 // bytes of an object
}

const (
	branch   = "upstream"
	maxPacks = 10 // beyond, the store is begun anew: each fetch adds one, and nothing takes one away
)

func (s *store) folder() string { return filepath.Join(s.dir, "objects", "pack") }

// make makes an empty store where nothing is.
func (s *store) make() error {
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	return git.Init(s.dir, branch)
}

// replace puts the store in the place of dir. Killed in between, it leaves no dir, which the next
// fetch makes.
func (s *store) replace(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(s.dir, dir)
}

// load reads what the store has and returns the commit fetched last, which may lack files; empty
// where the store is of no use to build on.
func (s *store) load(ctx context.Context) (commit string, err error) {
	repo := git.Repo{Dir: s.dir}
	if err := repo.Check(); err != nil {
		return "", err
	}
	if commit, err = repo.Ref(git.Branch(branch)); err != nil {
		return "", err
	}
	names, err := filepath.Glob(filepath.Join(s.folder(), "*.idx"))
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
		index, size, err := intact(name)
		if err != nil {
			return "", err
		}
		s.packs = append(s.packs, index)
		if total += size; total > s.limits.pack {
			return "", nil
		}
	}
	left, _ := filepath.Glob(filepath.Join(s.folder(), temporary))
	for _, name := range left { // of a fetch that was killed
		os.Remove(name)
	}
	return commit, nil
}

// intact reads a pack's index, and the pack against its checksum: a kill or a power cut may have
// left any part of it. A pack is read at a gigabyte a second, and only when there is something to
// fetch.
func intact(name string) (*idxfile.MemoryIndex, int64, error) {
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

// add fetches a commit into the store. have is one that is whole there already; empty: none. The
// error is a [*damage] where it is the store's.
func (s *store) add(ctx context.Context, from *session, commit, have string) error {
	shallow, err := s.shallow()
	if err != nil {
		return &damage{err}
	}
	p, err := from.fetch(want{commit: commit, have: have, shallow: shallow})
	if err != nil {
		return err
	}
	file, bases, err := s.receive(p)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	if s.arrived != nil {
		s.arrived()
	}
	if err := s.complete(ctx, file, bases); err != nil {
		return &damage{err}
	}
	if err := s.keep(ctx, file); err != nil {
		return &damage{err}
	}
	for _, c := range p.shallow {
		if !slices.Contains(shallow, c) {
			shallow = append(shallow, c)
		}
	}
	shallow = slices.DeleteFunc(shallow, func(c string) bool { return slices.Contains(p.unshallow, c) })
	if err := s.write("shallow", strings.Join(append(shallow, ""), "\n")); err != nil {
		return &damage{err}
	}
	if err := s.whole(ctx, commit); err != nil {
		return err
	}
	if err := s.write(git.Branch(branch), commit+"\n"); err != nil {
		return &damage{err}
	}
	return nil
}

// shallow are the commits that are here without their history (gitrepository-layout(5)).
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

// write replaces a small file of the store in one step.
func (s *store) write(name, content string) error {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// whole says whether all that the commit's tree names is in the store, and as git would take it from a
// push. The error is a [*damage], or ErrBroken, which no other fetch mends.
func (s *store) whole(ctx context.Context, commit string) error {
	objects := git.Repo{Dir: s.dir}.Objects()
	defer objects.Close()
	err := objects.Fsck(ctx, commit, s.has)
	var broken *git.Broken
	switch {
	case err == nil:
		return nil
	case errors.As(err, &broken):
		return faultf(ErrBroken, "git would not take the commit from a push: %s; make it again, git fsck finds what is broken", clean(broken.Error()))
	case errors.Is(err, plumbing.ErrObjectNotFound):
		err = fmt.Errorf("the server did not send all: %w", err)
	}
	return &damage{err}
}

func (s *store) has(h plumbing.Hash) bool {
	return slices.ContainsFunc(s.packs, func(p *idxfile.MemoryIndex) bool {
		ok, err := p.Contains(h)
		return ok && err == nil
	})
}
