package git

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// Objects can be read although git packed them after they were opened.
func TestObjectsDuringGC(t *testing.T) {
	r := newRepo(t)
	var names []string
	for _, content := range []string{"small", noise(20 << 10), noise(2 << 20)} {
		names = append(names, blob(t, r, content))
	}
	h := commit(t, r, "x", tree(t, r, "100644 blob "+names[0]+"\ta", "100644 blob "+names[1]+"\tb",
		"100644 blob "+names[2]+"\tc"))
	if err := r.SetRef(t.Context(), Branch("main"), "", h); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"loose", "packed"} {
		open := []*Objects{r.Objects(), r.Objects()} // the second has already read something
		for _, o := range open {
			defer o.Close()
		}
		if err := open[1].HasEncodedObject(plumbing.NewHash(names[0])); err != nil {
			t.Fatal(err)
		}
		next := commit(t, r, state, tree(t, r, "100644 blob "+blob(t, r, state)+"\ta"), h)
		if err := errors.Join(r.SetRef(t.Context(), Branch("main"), h, next),
			r.GC(t.Context())); err != nil {
			t.Fatal(err)
		}
		for _, o := range open {
			if _, err := o.Commit(next); err != nil {
				t.Error(state, err)
			}
			entries, err := o.files(t.Context(), h)
			if err != nil || len(entries) != 3 {
				t.Error(state, entries, err)
			}
			for _, e := range entries {
				content, err := o.content(e.hash)
				if err != nil {
					t.Error(state, e.path, err)
					continue
				}
				if _, err := io.Copy(io.Discard, content); err != nil {
					t.Error(state, e.path, err)
				}
				content.Close()
			}
		}
		h = commit(t, r, "y", tree(t, r, "100644 blob "+names[0]+"\ta", "100644 blob "+names[1]+
			"\tb", "100644 blob "+names[2]+"\tc"), next)
		if err := r.SetRef(t.Context(), Branch("main"), next, h); err != nil {
			t.Fatal(err)
		}
	}
	if packs, _ := filepath.Glob(filepath.Join(r.Dir, "objects/pack/*.pack")); len(packs) != 1 {
		t.Error("not packed:", packs)
	}
}

// Files that are not yet, or no longer, part of the repository do no harm.
func TestForeignObjectFiles(t *testing.T) {
	r := newRepo(t)
	h := commit(t, r, "x", tree(t, r))
	if err := r.SetRef(t.Context(), Branch("main"), "", h); err != nil {
		t.Fatal(err)
	}
	runGit(t, r, "", "repack", "-adq")
	// its index would come next
	half := filepath.Join(r.Dir, "objects/pack/pack-"+strings.Repeat("1", 40)+".pack")
	if err := os.WriteFile(half, []byte("PACK"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(r.Dir, "objects", "tmp_objdir-incoming-x")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	q, err := r.WithQuarantine(Quarantine{Objects: dir})
	if err != nil {
		t.Fatal(err)
	}
	pushed := commit(t, q, "pushed", tree(t, r), h)
	o := r.Objects()
	defer o.Close()
	if _, err := o.Commit(h); err != nil {
		t.Error(err)
	}
	if _, err := o.Commit(pushed); !errors.Is(err, plumbing.ErrObjectNotFound) {
		t.Error("an object in somebody's quarantine is seen:", err)
	}
}
