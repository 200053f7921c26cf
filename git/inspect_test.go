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

// Only changes of a large commit are read again. A push of 20,000 files used to read all of them,
// because they did not fit into the cache.
func TestInspectReadsOnlyWhatChanged(t *testing.T) {
	files := 150_000
	if testing.Short() {
		files = 20_000
	}
	const few = 10
	r := newRepo(t)
	var blobs strings.Builder
	for n := range files {
		content := fmt.Sprint(n)
		fmt.Fprintf(&blobs, "blob\nmark :%d\ndata %d\n%s\n", n+1, len(content), content)
	}
	runGit(t, r, blobs.String(), "fast-import", "--quiet", "--export-marks=marks")
	marks, err := os.ReadFile(filepath.Join(r.Dir, "marks"))
	if err != nil {
		t.Fatal(err)
	}
	var folders, all []string // half of the files are in small folders, the others in one
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
	for i, name := range strings.Fields(runGit(t, r, strings.Join(folders, "\n"), "mktree",
		"--batch")) {
		root = append(root, fmt.Sprintf("040000 tree %s\td%07d", name, i))
	}
	one := tree(t, r, append(root, "040000 tree "+tree(t, r, all...)+"\tall")...)

	var old []string // files that must not be read again
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

// The cache is bounded, whatever is pushed.
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
		store(i, &i.files, maxKnownFiles, name(), uint32(n))
		store(i, &i.folders, maxKnownFolders, name(), treeFacts{files: n})
		store(i, &i.links, maxKnownLinks, name(), treeFacts{files: n})
		store(i, &i.scripts, maxKnownScripts, name(), true)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(i.files) > maxKnownFiles || len(i.folders) > maxKnownFolders ||
		len(i.links) > maxKnownLinks || len(i.scripts) > maxKnownScripts {
		t.Errorf("%d files, %d folders, %d links and %d scripts are remembered", len(i.files),
			len(i.folders), len(i.links), len(i.scripts))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 24<<20 {
		t.Errorf("that takes %d kB", grown>>10)
	}
	runtime.KeepAlive(i)
}
