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

// litter makes the repository untidy: so many loose objects that nothing reaches, and old enough to go.
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
	plumb(t, r, paths.String(), "hash-object", "-w", "--stdin-paths")
}

// age makes all loose objects a week old.
func age(t *testing.T, r Repo) {
	t.Helper()
	week := time.Now().Add(-7 * 24 * time.Hour)
	err := filepath.WalkDir(filepath.Join(r.Dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chtimes(path, week, week)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTidy(t *testing.T) {
	r := newRepo(t)
	empty := tree(t, r, "100644 blob "+blob(t, r, "x")+"\tx")
	live := commit(t, r, "live", empty)
	before := commit(t, r, "before a force push", tree(t, r, "100644 blob "+blob(t, r, "its own")+"\tx"))
	gone := commit(t, r, "of no build any more", empty)
	if err := r.SetRef(t.Context(), Branch("main"), "", live); err != nil {
		t.Fatal(err)
	}
	if untidy, err := r.Untidy(); err != nil || untidy {
		t.Errorf("untidy: %t, %v", untidy, err)
	}
	litter(t, r)
	if untidy, err := r.Untidy(); err != nil || !untidy {
		t.Errorf("untidy: %t, %v", untidy, err)
	}
	age(t, r)
	for range 2 { // the second has nothing to change; one commit twice, as after a rebuild, and one that is not here
		if err := r.Keep(t.Context(), []string{before, live, before, strings.Repeat("1", 40)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "gc.pid"), fmt.Appendf(nil, "%d %s", os.Getppid(), hostname(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Tidy(t.Context()); err != nil { // though it seems that one is at it
		t.Fatal(err)
	}
	if untidy, err := r.Untidy(); err != nil || untidy {
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
		t.Error("what nothing reaches is still there")
	}
	if shown := plumb(t, r, "", append(r.options(), "upload-pack", "--http-backend-info-refs", ".")...); strings.Contains(shown, "refs/paas") {
		t.Errorf("fetches are shown what is kept: %s", shown)
	}
	if err := r.Keep(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if left, err := r.kept(); err != nil || len(left) > 0 {
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

// Whoever is interrupted leaves a repository that works, and no lock in the way of a push.
func TestTidyInterrupted(t *testing.T) {
	r := newRepo(t)
	main := commit(t, r, "one", tree(t, r, "100644 blob "+blob(t, r, "x")+"\tx"))
	if err := r.SetRef(t.Context(), Branch("main"), "", main); err != nil {
		t.Fatal(err)
	}
	litter(t, r)
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond} {
		ctx, stop := context.WithTimeout(t.Context(), after)
		r.Tidy(ctx) // it may have been faster
		stop()
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "gc.pid.lock"), nil, 0o644); err != nil { // a kill in the right moment leaves it
		t.Fatal(err)
	}
	plumb(t, r, "", "fsck", "--strict")
	if err := r.SetRef(t.Context(), Branch("main"), main, commit(t, r, "two", tree(t, r), main)); err != nil {
		t.Error(err)
	}
	if err := r.Tidy(t.Context()); err != nil {
		t.Error(err)
	}
}
