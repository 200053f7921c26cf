package git

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"paas/nice"
)

// When a repository is worth tidying. git's own measure, gc.auto, is 6700 loose objects, guessed as here
// from one folder of 256; a push of a small change adds three to thirty.
const (
	muchLoose = 8  // in objects/17: about 2000 in all
	manyPacks = 20 // each is searched for each object
)

// Untidy says whether so much has gathered that [Repo.Tidy] is worth its time. It reads two folders.
func (r Repo) Untidy() (bool, error) {
	loose, err := os.ReadDir(filepath.Join(r.Dir, "objects", "17"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	packs, err := filepath.Glob(filepath.Join(escape(r.Dir), "objects", "pack", "*.pack"))
	return len(loose) > muchLoose || len(packs) > manyPacks, err
}

// Tidy packs what is loose, makes one pack of many, and drops what no reference has reached for a day.
// It blocks for seconds, or minutes where a repository is large, on one processor and at the lowest
// priority, and stops within 2 s when ctx ends. A kill -9 at any point loses nothing. Open [Objects]
// may miss what they look for afterwards.
//
// References are left as they are: packing them takes a lock that a killed git would leave in the way
// of every later push.
func (r Repo) Tidy(ctx context.Context) error {
	// Of one that was killed as it began; there is no other, and --force does not mean this file.
	if err := os.Remove(filepath.Join(r.Dir, "gc.pid.lock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cmd := r.Command(ctx, "--git-dir="+r.Dir, "-c", "gc.packRefs=false", "-c", "gc.writeCommitGraph=false",
		"-c", "pack.threads=1", "-c", "pack.windowMemory=64m",
		"gc", "--quiet", "--force", "--prune=1.day.ago") // by force: a killed one has left its gc.pid
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // it takes its temporary files along
	const nicest = 19
	ended := make(chan struct{})
	err := Run(cmd, func() {
		nice.Group(cmd.Process.Pid, nicest)
		go nice.Session(cmd.Process.Pid, nicest, ended)
	})
	close(ended)
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what git has started and not ended
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &Error{Command: "gc", Said: reason(said.String()), Err: err}
}

// kept is where references are that only keep commits from being dropped. They are nobody else's to see
// (transfer.hideRefs).
const kept = "refs/paas/kept/"

// Keep has the repository keep commits, those of them that it has, and what they consist of, whatever
// becomes of its branches; and no others that an earlier Keep named. A git process for each that changes.
func (r Repo) Keep(ctx context.Context, commits []string) error {
	objects := r.Objects()
	defer objects.Close()
	had, err := r.kept()
	if err != nil {
		return err
	}
	for _, c := range slices.Compact(slices.Sorted(slices.Values(commits))) {
		if _, err := objects.Commit(c); err != nil || slices.Contains(had, c) {
			continue // made of a commit that came by another way, such as a source
		}
		if err := r.SetRef(ctx, kept+c, "", c); err != nil {
			return err
		}
	}
	for _, c := range had {
		if !slices.Contains(commits, c) {
			if err := r.SetRef(ctx, kept+c, c, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r Repo) kept() (commits []string, err error) {
	refs, err := r.refs()
	for _, ref := range refs {
		if commit, ok := strings.CutPrefix(ref.Name().String(), kept); ok {
			commits = append(commits, commit)
		}
	}
	return commits, err
}
