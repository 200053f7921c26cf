package git

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"paas/say"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// writeTree writes commit into a new folder.
func writeTree(t testing.TB, r Repo, commit string) (dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	o := r.Objects()
	defer o.Close()
	return dir, o.WriteTree(t.Context(), commit, dir)
}

// checkout lets git write commit into the folder tree.
func checkout(t testing.TB, r Repo, commit, tree string) {
	t.Helper()
	index := filepath.Join(t.TempDir(), "index")
	_, err := r.run(t.Context(), []string{"GIT_INDEX_FILE=" + index, "GIT_WORK_TREE=" + tree}, "read-tree", "-m", "-u", commit)
	if err != nil {
		t.Fatal(err)
	}
}

// readTree returns what is below dir: mode and content of files, targets of links.
func readTree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := ""
		switch {
		case d.Type() == fs.ModeSymlink:
			what, err = os.Readlink(p)
		case d.Type().IsRegular():
			var content []byte
			content, err = os.ReadFile(p)
			what = string(content)
			if len(what) > 100 {
				what = fmt.Sprintf("%d bytes %x", len(what), sha256.Sum256(content))
			}
			what = info.Mode().Perm().String() + " " + what
		default:
			what = info.Mode().String()
		}
		found[p[len(dir)+1:]] = what
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// compareTrees reports differences.
func compareTrees(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for p, w := range want {
		if g, ok := got[p]; !ok {
			t.Errorf("%s: %s is missing", what, p)
		} else if g != w {
			t.Errorf("%s: %s is %q, want %q", what, p, g, w)
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: %s is too many", what, p)
		}
	}
}

// noise returns n incompressible bytes.
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

// WriteTree writes the same as git, under any umask, loose and packed.
func TestWriteTree(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022))
	r := newRepo(t)
	big := noise(3 << 20)
	deep := tree(t, r, "100644 blob "+blob(t, r, "deep")+"\tf")
	for i := range 20 {
		deep = tree(t, r, fmt.Sprintf("040000 tree %s\td%d", deep, i))
	}
	lib := tree(t, r, "100755 blob "+blob(t, r, "#!/bin/sh\r\n")+"\trun", "120000 blob "+
		blob(t, r, "../run me")+"\tup")
	h := commit(t, r, "x", tree(t, r,
		"100644 blob "+blob(t, r, "* text eol=crlf\n")+"\t.gitattributes",
		"100755 blob "+blob(t, r, "run")+"\trun me",
		"100644 blob "+blob(t, r, "")+"\tempty",
		"100644 blob "+blob(t, r, big)+"\tbig",
		"100644 blob "+blob(t, r, "changed "+big)+"\tbig2", // stored as a delta once packed
		"100644 blob "+blob(t, r, noise(100_000))+"\tmiddle",
		"120000 blob "+blob(t, r, "nowhere")+"\tlink",
		"100644 blob "+blob(t, r, "\xff")+"\t\xff back\\slash ünï",
		"040000 tree "+lib+"\tlib", "040000 tree "+lib+"\tlib2",
		"040000 tree "+deep+"\tdeep"))
	if err := r.SetRef(t.Context(), Branch("main"), "", h); err != nil {
		t.Fatal(err)
	}
	want := t.TempDir()
	checkout(t, r, h, want)
	for _, state := range []string{"loose", "packed"} {
		syscall.Umask(0o077)
		dir, err := writeTree(t, r, h)
		syscall.Umask(0o022)
		if err != nil {
			t.Fatal(state, err)
		}
		compareTrees(t, state, readTree(t, dir), readTree(t, want))
		runGit(t, r, "", "repack", "-adqf")
	}
}

// A commit that was not inspected can neither write outside the folder nor turn it into a
// repository.
func TestWriteTreeRefuses(t *testing.T) {
	r := newRepo(t)
	file := blob(t, r, "x")
	inner := tree(t, r, "100644 blob "+file+"\tf")
	raw := func(entries ...string) string { // mktree would correct them
		var b strings.Builder
		for _, e := range entries {
			head, name, _ := strings.Cut(e, "\t")
			fields := strings.Fields(head)
			fmt.Fprintf(&b, "%s %s\x00", fields[0], name)
			for i := range 20 {
				var c byte
				fmt.Sscanf(fields[1][2*i:2*i+2], "%x", &c)
				b.WriteByte(c)
			}
		}
		return runGit(t, r, b.String(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	}
	outside := t.TempDir()
	for name, tree := range map[string]string{
		"dotdot":          raw("40000 "+inner+"\t..", "100644 "+file+"\tf"),
		"dot":             raw("40000 " + inner + "\t."),
		"slash":           raw("100644 " + file + "\ta/b"),
		"absolute":        raw("100644 " + file + "\t" + outside + "/f"),
		"git":             raw("40000 " + inner + "\t.git"),
		"GIT":             raw("40000 " + inner + "\t.GiT"),
		"short":           raw("40000 " + inner + "\tgit~1"),
		"inside":          raw("40000 " + raw("40000 "+inner+"\t.git") + "\ta"),
		"link and folder": raw("120000 "+blob(t, r, outside)+"\ta", "40000 "+inner+"\ta"),
		"twice":           raw("100644 "+file+"\ta", "100644 "+file+"\tb", "100644 "+file+"\ta"),
		"missing":         raw("100644 " + strings.Repeat("1", 40) + "\ta"),
		"no tree":         raw("40000 " + file + "\ta"),
		"no blob":         raw("100644 " + inner + "\ta"),
		"long link":       raw("120000 " + blob(t, r, strings.Repeat("x", 5000)) + "\ta"),
	} {
		h := commit(t, r, name, tree)
		dir, err := writeTree(t, r, h)
		if err == nil {
			t.Errorf("%s: written: %v", name, readTree(t, dir))
		}
		if _, err := newWorktree(t, t.TempDir()).to(t.Context(), r, h); err == nil {
			t.Errorf("%s: updated", name)
		}
		if found := readTree(t, outside); len(found) > 0 {
			t.Errorf("%s: outside: %v", name, found)
		}
	}
}

// Listing a tree that contains itself many times ends.
func TestListingEnds(t *testing.T) {
	r := newRepo(t)
	bomb := tree(t, r, "100644 blob "+blob(t, r, "x")+"\tf")
	for range 12 {
		var entries []string
		for i := range 10 {
			entries = append(entries, fmt.Sprintf("040000 tree %s\td%d", bomb, i))
		}
		bomb = tree(t, r, entries...)
	}
	o := r.Objects()
	defer o.Close()
	l := listing{objects: o, ctx: t.Context(), remaining: 2000}
	if err := l.tree(plumbing.NewHash(bomb), "", 0); err == nil || len(l.entries) > 2000 {
		t.Error(err, len(l.entries))
	}
}

// Existing links are not followed, neither for a file nor for a folder.
func TestWriteTreeIntoLinks(t *testing.T) {
	r := newRepo(t)
	file := "100644 blob " + blob(t, r, "x") + "\t"
	h := commit(t, r, "x", tree(t, r, file+"f", "040000 tree "+tree(t, r, file+"g")+"\td"))
	for _, name := range []string{"f", "d"} {
		outside, dir := t.TempDir(), t.TempDir()
		if err := os.Symlink(outside, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		o := r.Objects()
		if err := o.WriteTree(t.Context(), h, dir); err == nil {
			t.Errorf("%s: a link was followed", name)
		}
		o.Close()
		if found := readTree(t, outside); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// A huge file is streamed.
func TestWriteTreeStreams(t *testing.T) {
	r := newRepo(t)
	const size = 24 << 20
	h := commit(t, r, "x", tree(t, r, "100644 blob "+blob(t, r, noise(size))+"\tbig"))
	if err := r.SetRef(t.Context(), Branch("main"), "", h); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"loose", "packed"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		dir, err := writeTree(t, r, h)
		runtime.ReadMemStats(&after)
		if info, _ := os.Stat(filepath.Join(dir, "big")); err != nil || info.Size() != size {
			t.Fatal(state, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > size/8 {
			t.Errorf("%s: %s were allocated for a file of %s", state, say.Bytes(int64(n)),
				say.Bytes(size))
		}
		runGit(t, r, "", "repack", "-adq")
	}
}

// smallDisk returns the path of a file system of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: a full disk; mounting a small one needs root")
	}
	dir := t.TempDir()
	if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs",
		dir).Run(); err != nil {
		t.Skip("NOT TESTED: a full disk; no tmpfs can be mounted here:", err)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	return dir
}

func TestWriteTreeDiskFull(t *testing.T) {
	r := newRepo(t)
	dir := smallDisk(t)
	h := commit(t, r, "x", tree(t, r, "100644 blob "+blob(t, r, noise(2<<20))+"\tbig"))
	o := r.Objects()
	defer o.Close()
	if err := o.WriteTree(t.Context(), h, dir); !errors.Is(err, syscall.ENOSPC) ||
		!strings.Contains(err.Error(), "big") {
		t.Error(err)
	}
}

// If writing fails, reading stops and no file stays open.
func TestContentsStopOnError(t *testing.T) {
	r := newRepo(t)
	o := r.Objects()
	defer o.Close()
	hash := blob(t, r, noise(2<<20))
	h := commit(t, r, "x", tree(t, r, "100644 blob "+hash+"\ta", "100644 blob "+hash+"\tb",
		"100644 blob "+hash+"\tc"))
	entries, err := o.files(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	for len(entries) < 1000 {
		entries = append(entries, entries...)
	}
	stopped := errors.New("stopped")
	err = o.contents(t.Context(), entries, func(contents <-chan content) error {
		c, ok := <-contents
		if !ok {
			return nil
		}
		io.CopyN(io.Discard, c, 1)
		return errors.Join(c.Close(), stopped)
	})
	if !errors.Is(err, stopped) {
		t.Error(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("NOT TESTED: open files:", err)
	}
	for _, fd := range open {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.Contains(to, hash[2:]) {
			t.Error("still open:", to)
		}
	}
}
