package git

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// litter adds many old, unreachable loose objects to the repository.
func litter(t *testing.T, r Repo) {
	t.Helper()
	dir := t.TempDir()
	var paths strings.Builder
	for i := range 3000 {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, fmt.Append(nil, i), 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&paths, path)
	}
	runGit(t, r, paths.String(), "hash-object", "-w", "--stdin-paths")
}

// age makes all loose objects a week old.
func age(t *testing.T, r Repo) {
	t.Helper()
	week := time.Now().Add(-7 * 24 * time.Hour)
	err := filepath.WalkDir(filepath.Join(r.Dir, "objects"),
		func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				err = os.Chtimes(path, week, week)
			}
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGC(t *testing.T) {
	r := newRepo(t)
	empty := tree(t, r, "100644 blob "+blob(t, r, "x")+"\tx")
	live := commit(t, r, "live", empty)
	before := commit(t, r, "before a force push",
		tree(t, r, "100644 blob "+blob(t, r, "its own")+"\tx"))
	gone := commit(t, r, "of no build any more", empty)
	if err := r.SetRef(t.Context(), Branch("main"), "", live); err != nil {
		t.Fatal(err)
	}
	if untidy, err := r.NeedsGC(); err != nil || untidy {
		t.Errorf("untidy: %t, %v", untidy, err)
	}
	litter(t, r)
	if untidy, err := r.NeedsGC(); err != nil || !untidy {
		t.Errorf("untidy: %t, %v", untidy, err)
	}
	age(t, r)
	for range 2 { // the second call changes nothing; one commit is listed twice, one does not exist
		if err := r.KeepCommits(t.Context(),
			[]string{before, live, before, strings.Repeat("1", 40)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "gc.pid"),
		fmt.Appendf(nil, "%d %s", os.Getppid(), hostname(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.GC(t.Context()); err != nil { // although a gc.pid exists
		t.Fatal(err)
	}
	if untidy, err := r.NeedsGC(); err != nil || untidy {
		t.Errorf("untidy: %t, %v", untidy, err)
	}
	objects := r.Objects()
	defer objects.Close()
	for _, c := range []string{live, before} {
		if err := objects.WriteTree(t.Context(), c, t.TempDir()); err != nil {
			t.Errorf("%s: %v", Short(c), err)
		}
	}
	if _, err := objects.Commit(gone); err == nil {
		t.Error("unreachable objects are still there")
	}
	if shown := runGit(t, r, "", append(r.options(), "upload-pack", "--http-backend-info-refs",
		".")...); strings.Contains(shown, "refs/paas") {
		t.Errorf("fetches are shown what is kept: %s", shown)
	}
	if err := r.KeepCommits(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if left, err := r.keptCommits(); err != nil || len(left) > 0 {
		t.Errorf("still kept: %v, %v", left, err)
	}
}

func hostname(t *testing.T) string {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// An interrupted GC leaves a working repository and no lock that blocks a push.
func TestGCInterrupted(t *testing.T) {
	r := newRepo(t)
	main := commit(t, r, "one", tree(t, r, "100644 blob "+blob(t, r, "x")+"\tx"))
	if err := r.SetRef(t.Context(), Branch("main"), "", main); err != nil {
		t.Fatal(err)
	}
	litter(t, r)
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond,
		20 * time.Millisecond, 60 * time.Millisecond} {
		ctx, stop := context.WithTimeout(t.Context(), after)
		r.GC(ctx) // it may have been faster
		stop()
	}
	// as after a kill at the wrong moment
	if err := os.WriteFile(filepath.Join(r.Dir, "gc.pid.lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	runGit(t, r, "", "fsck", "--strict")
	if err := r.SetRef(t.Context(), Branch("main"), main,
		commit(t, r, "two", tree(t, r), main)); err != nil {
		t.Error(err)
	}
	if err := r.GC(t.Context()); err != nil {
		t.Error(err)
	}
}
