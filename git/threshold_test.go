package git

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// thresholds returns files around every size at which git or go-git changes its behaviour: 16 KiB
// (go-git opens the pack again), 1 MiB (go-git streams), 32 MiB (git streams and stores no delta),
// and folders whose tree objects are around the first two. Versions differ in a few bytes, or in 20
// kB if the name contains far. A short test leaves out the largest.
func thresholds(version int) files {
	f := files{}
	seed := noise(2<<20) + strings.Repeat("x", 31<<20)
	for _, size := range []int{100, 16<<10 - 1, 16 << 10, 16<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1,
		32<<20 + 1} {
		if testing.Short() && size > 30<<20 {
			continue
		}
		for _, change := range []string{"near", "far"} {
			if change == "far" && (size < 40_000 || size > 30<<20) {
				continue
			}
			head := fmt.Sprintf("#!/bin/sh\r\n# %d %s %d\n", size, change, version)
			content := []byte(head + seed[:size-len(head)])
			if change == "far" {
				copy(content[size-20_000:], seed[version*30_000:][:20_000])
			}
			f[fmt.Sprintf("%s%d", change, size)] = "x" + string(content)
		}
	}
	const entry = 28 // size of an entry in a tree object without its name
	for _, folder := range []struct{ entries, name int }{
		{16 << 10 / (entry + 9), 9}, {16<<10/(entry+9) + 1, 9}, {1 << 20 / (entry + 250), 250},
		{1<<20/(entry+250) + 1, 250},
	} {
		for i := range folder.entries {
			f[fmt.Sprintf("folder%d/%0*d", folder.entries, folder.name, i)] = " "
		}
		f[fmt.Sprintf("folder%d/%0*d", folder.entries, folder.name, 7)] = fmt.Sprint(" ", version)
	}
	return f
}

// push puts a commit into a quarantine as git-receive-pack does for a client that has the commits
// had: loose objects, or the pack if it has more objects than transfer.unpackLimit.
func push(t *testing.T, r Repo, from Repo, kept bool, commit string, had ...string) Repo {
	t.Helper()
	var pack, said bytes.Buffer
	send := exec.Command("git", "pack-objects", "--stdout", "--revs", "--thin",
		"--delta-base-offset", "-q")
	send.Dir = from.Dir
	send.Stdin = strings.NewReader(strings.Join(append([]string{commit, "--not"}, had...), "\n") +
		"\n")
	send.Stdout, send.Stderr = &pack, &said
	if err := send.Run(); err != nil {
		t.Fatal(err, said.String())
	}
	dir, err := os.MkdirTemp(filepath.Join(r.Dir, "objects"), "tmp_objdir-incoming-")
	if err != nil {
		t.Fatal(err)
	}
	q, err := r.WithQuarantine(Quarantine{Objects: dir})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"unpack-objects", "-q"}
	if kept {
		args = []string{"index-pack", "--stdin", "--fix-thin"}
	}
	receive := q.Command(t.Context(), args...)
	receive.Stdin, receive.Stderr = &pack, &said
	if err := receive.Run(); err != nil {
		t.Fatal(err, said.String())
	}
	return q
}

// accept moves the quarantine into the repository as git-receive-pack does.
func accept(t *testing.T, q Repo) {
	t.Helper()
	move := exec.Command("cp", "-rl", q.Quarantine.Objects+"/.", q.Quarantine.Alternates)
	if out, err := move.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	if err := os.RemoveAll(q.Quarantine.Objects); err != nil {
		t.Fatal(err)
	}
}

// We can read everything that git accepts, however it is stored: sizes make no difference.
func TestThresholds(t *testing.T) {
	client := newRepo(t)
	files := len(thresholds(1))
	versions := commits(t, client, thresholds(1), thresholds(2))
	one, two := versions[0], versions[1]
	read := func(what string, r Repo, commit string) {
		t.Helper()
		o := r.Objects()
		defer o.Close()
		c, err := o.Commit(commit)
		if err != nil {
			t.Error(what, err)
			return
		}
		if s, err := new(Inspector).Inspect(t.Context(), o, c.Tree); err != nil ||
			s.Files != files || len(s.Scripts) != 5 {
			t.Errorf("%s: inspect: %+v, %v", what, s, err)
		}
		entries, err := o.files(t.Context(), commit)
		if err != nil || len(entries) != files {
			t.Errorf("%s: list: %d files, %v", what, len(entries), err)
		}
		seen := map[plumbing.Hash]bool{} // most files of the folders are the same one
		for _, e := range entries {
			if seen[e.hash] {
				continue
			}
			seen[e.hash] = true
			size, err := o.EncodedObjectSize(e.hash)
			sum := sha1.New()
			fmt.Fprintf(sum, "blob %d\x00", size)
			if r, openErr := o.content(e.hash); openErr != nil {
				err = errors.Join(err, openErr)
			} else {
				_, readErr := io.Copy(sum, r)
				err = errors.Join(err, readErr, r.Close())
			}
			if err != nil || plumbing.Hash(sum.Sum(nil)) != e.hash {
				t.Errorf("%s: %s: %x, %v", what, e.path, sum.Sum(nil), err)
			}
		}
	}
	for _, kept := range []bool{false, true} {
		for _, tidied := range []bool{false, true} {
			if testing.Short() && kept != tidied {
				continue
			}
			what := fmt.Sprintf("kept %v, tidied %v: ", kept, tidied)
			r := newRepo(t)
			q := push(t, r, client, kept, one)
			read(what+"first push", q, one)
			accept(t, q)
			read(what+"after it", r, one)
			if err := r.SetRef(t.Context(), Branch("main"), "", one); err != nil {
				t.Fatal(err)
			}
			if tidied {
				if err := r.GC(t.Context()); err != nil {
					t.Fatal(err)
				}
				read(what+"after git gc", r, one)
			}
			q = push(t, r, client, kept, two, one)
			read(what+"second push", q, two)
			accept(t, q)
			if err := errors.Join(r.SetRef(t.Context(), Branch("main"), one, two),
				r.GC(t.Context())); err != nil {
				t.Fatal(err)
			}
			read(what+"after both", r, two)
			read(what+"the one before", r, one)
		}
	}
}
