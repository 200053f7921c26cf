package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// manyFiles is the number of files in the benchmarks' commits.
const manyFiles = 20_000

// benchRepo creates a packed repository with two commits of many files of about 1 kB in 200
// folders. The second changes one file out of every.
func benchRepo(b *testing.B, every int) (r Repo, one, two string) {
	r = newRepo(b)
	var in strings.Builder
	for version := range 2 {
		fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter A <a@b.c> 0 +0000\ndata "+
			"1\nx\n", version+1)
		for i := range manyFiles {
			if version == 1 && i%every != 0 {
				continue
			}
			content := strings.Repeat(fmt.Sprintf("line of file %d in version %d, %x\n", i, version,
				i*i), 20)
			fmt.Fprintf(&in, "M 100644 inline src/%d/%d/%d.js\ndata %d\n%s\n", i/1000, i/100%10, i,
				len(content), content)
		}
	}
	runGit(b, r, in.String(), "fast-import", "--quiet", "--export-marks=marks")
	runGit(b, r, "", "repack", "-adq")
	marks, err := os.ReadFile(filepath.Join(r.Dir, "marks"))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(marks))
	commits := map[string]string{fields[0]: fields[1], fields[2]: fields[3]}
	return r, commits[":1"], commits[":2"]
}

func BenchmarkWriteTree(b *testing.B) {
	r, one, _ := benchRepo(b, 1)
	for name, write := range map[string]func(dir string) error{
		"go": func(dir string) error {
			o := r.Objects()
			defer o.Close()
			return o.WriteTree(b.Context(), one, dir)
		},
		"git": func(dir string) error { checkout(b, r, one, dir); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				dir := filepath.Join(b.TempDir(), "tree")
				if err := os.Mkdir(dir, 0o755); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := write(dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, every := range []int{1, 10, manyFiles} {
		b.Run(fmt.Sprintf("%d of %d files", manyFiles/every, manyFiles), func(b *testing.B) {
			r, one, two := benchRepo(b, every)
			dir := b.TempDir()
			w := Worktree{Dir: filepath.Join(dir, "worktree"),
				State: filepath.Join(dir, "worktree.json"), Temp: dir}
			update := func(commit string) {
				o := r.Objects()
				defer o.Close()
				if _, err := w.Update(b.Context(), o, commit); err != nil {
					b.Fatal(err)
				}
			}
			update(one)
			for i := 0; b.Loop(); i++ {
				update([]string{two, one}[i%2])
			}
		})
	}
}

func BenchmarkInspect(b *testing.B) {
	r, one, two := benchRepo(b, manyFiles/10)
	i := new(Inspector)
	for n := 0; b.Loop(); n++ {
		o := r.Objects()
		c, err := o.Commit([]string{one, two}[n%2])
		if err == nil {
			_, err = i.Inspect(b.Context(), o, c.Tree)
		}
		if err != nil {
			b.Fatal(err)
		}
		o.Close()
	}
}
