package git

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// Of a large commit nothing is read again but what changed. A push of 20,000 files used to read them all,
// since they did not fit into what was remembered.
func TestInspectReadsOnlyWhatChanged(t *testing.T) {
	const files, few = 150_000, 10
	r := newRepo(t)
	var blobs strings.Builder
	for n := range files {
		content := fmt.Sprint(n)
		fmt.Fprintf(&blobs, "blob\nmark :%d\ndata %d\n%s\n", n+1, len(content), content)
	}
	plumb(t, r, blobs.String(), "fast-import", "--quiet", "--export-marks=marks")
	marks, err := os.ReadFile(filepath.Join(r.Dir, "marks"))
	if err != nil {
		t.Fatal(err)
	}
	var folders, all []string // half of the files lie in small folders, the others in one
	for line := range strings.Lines(string(marks)) {
		var n int
		var name string
		fmt.Sscanf(line, ":%d %s", &n, &name)
		entry := fmt.Sprintf("100644 blob %s\t%07d", name, n)
		if all = append(all, entry); len(all) <= files/2 && len(all)%few == 0 {
			folders = append(folders, strings.Join(all[len(all)-few:], "\n")+"\n")
		}
	}
	all = all[files/2:]
	var root []string
	for i, name := range strings.Fields(plumb(t, r, strings.Join(folders, "\n"), "mktree", "--batch")) {
		root = append(root, fmt.Sprintf("040000 tree %s\td%07d", name, i))
	}
	one := tree(t, r, append(root, "040000 tree "+tree(t, r, all...)+"\tall")...)

	var old []string // all that will not be read again
	for _, pattern := range []string{"objects/??/*", "objects/pack/*"} {
		paths, _ := filepath.Glob(filepath.Join(r.Dir, pattern))
		old = append(old, paths...)
	}
	changed := "100644 blob " + blob(t, r, "changed") + "\t0000000"
	all[7], root[7] = changed, "040000 tree "+tree(t, r, changed)+"\td0000007"
	two := tree(t, r, append(root, "040000 tree "+tree(t, r, all...)+"\tall")...)

	i := new(Inspector)
	inspect := func(tree string, want int) {
		t.Helper()
		o := r.Objects()
		defer o.Close()
		if s, err := i.Inspect(t.Context(), o, tree); err != nil || s.Files != want {
			t.Errorf("%d files, %v", s.Files, err)
		}
	}
	inspect(one, files)
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	inspect(two, files-few+1)
}

// What is remembered is bounded, whatever is pushed.
func TestInspectorMemory(t *testing.T) {
	var before, after runtime.MemStats
	i := new(Inspector)
	source := rand.NewChaCha8([32]byte{})
	name := func() (h plumbing.Hash) {
		binary.NativeEndian.PutUint64(h[:], source.Uint64())
		return h
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range int32(500_000) {
		remember(i, &i.files, maxFiles, name(), uint32(n))
		remember(i, &i.folders, maxFolders, name(), facts{files: n})
		remember(i, &i.links, maxLinks, name(), facts{files: n})
		remember(i, &i.scripts, maxScripts, name(), true)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(i.files) > maxFiles || len(i.folders) > maxFolders || len(i.links) > maxLinks || len(i.scripts) > maxScripts {
		t.Errorf("%d files, %d folders, %d links and %d scripts are remembered", len(i.files), len(i.folders), len(i.links), len(i.scripts))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 24<<20 {
		t.Errorf("that takes %d kB", grown>>10)
	}
	runtime.KeepAlive(i)
}
