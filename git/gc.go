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
	"paas/subprocess"
)

// When GC is worthwhile. git's own limit, gc.auto, is 6700 loose objects, estimated as here from
// one of 256 folders. A small push adds three to thirty.
const (
	maxLoose = 8  // in that folder: about 2000 in all
	maxPacks = 20 // each is searched for each object
)

// NeedsGC reports whether [Repo.GC] is worthwhile. It reads two folders.
func (r Repo) NeedsGC() (bool, error) {
	loose, err := os.ReadDir(filepath.Join(r.Dir, "objects", "17"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	packs, err := filepath.Glob(filepath.Join(escapeGlob(r.Dir), "objects", "pack", "*.pack"))
	return len(loose) > maxLoose || len(packs) > maxPacks, err
}

// GC packs loose objects, combines packs and deletes objects that were unreachable for a day. It
// blocks for seconds, or minutes for a large repository, and uses one processor at the lowest
// priority. It stops within 2 s when ctx ends. It is safe to kill at any point. [Objects] that are
// open may not find their objects afterwards.
//
// It does not pack references: a killed git would leave a lock that blocks every later push.
func (r Repo) GC(ctx context.Context) error {
	// Left by a killed GC: there is never a second one, and --force ignores only gc.pid.
	if err := os.Remove(filepath.Join(r.Dir, "gc.pid.lock")); err != nil &&
		!errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cmd := r.Command(ctx, "--git-dir="+r.Dir, "-c", "gc.packRefs=false", "-c",
		"gc.writeCommitGraph=false",
		"-c", "pack.threads=1", "-c", "pack.windowMemory=64m",
		"gc", "--quiet", "--force", "--prune=1.day.ago") // --force: a killed GC has left its gc.pid
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// git then removes its temporary files
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	const nicest = 19
	ended := make(chan struct{})
	err := subprocess.Run(cmd, func() {
		nice.Group(cmd.Process.Pid, nicest)
		go nice.Session(cmd.Process.Pid, nicest, ended)
	})
	close(ended)
	if cmd.Process != nil {
		subprocess.Kill(cmd) // processes that git started and left
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &Error{Command: "gc", Message: errorLine(stderr.String()), Err: err}
}

// keptRefs is the prefix of references that only protect commits from GC. They are hidden from
// clients (transfer.hideRefs).
const keptRefs = "refs/paas/kept/"

// KeepCommits protects exactly these commits, as far as the repository has them, and their trees
// from [Repo.GC], whatever happens to branches. It runs a git process for each change.
func (r Repo) KeepCommits(ctx context.Context, commits []string) error {
	objects := r.Objects()
	defer objects.Close()
	had, err := r.keptCommits()
	if err != nil {
		return err
	}
	for _, c := range slices.Compact(slices.Sorted(slices.Values(commits))) {
		if _, err := objects.Commit(c); err != nil || slices.Contains(had, c) {
			continue // built from a commit that is not in this repository, such as a source's
		}
		if err := r.SetRef(ctx, keptRefs+c, "", c); err != nil {
			return err
		}
	}
	for _, c := range had {
		if !slices.Contains(commits, c) {
			if err := r.SetRef(ctx, keptRefs+c, c, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r Repo) keptCommits() (commits []string, err error) {
	refs, err := r.refs()
	for _, ref := range refs {
		if commit, ok := strings.CutPrefix(ref.Name().String(), keptRefs); ok {
			commits = append(commits, commit)
		}
	}
	return commits, err
}
