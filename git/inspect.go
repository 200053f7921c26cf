package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Inspector says of a commit's tree what it holds, and refuses what cannot be deployed, before a
// file of it is written. The zero Inspector has no limits. It is safe for concurrent use.
//
// It remembers what it has found to be in order, of all repositories: an object's name stands for its
// content. So it reads of a push little more than what changed, and a tree that holds itself many times
// over (a "git bomb") costs no more than one. That takes up to 24 MB: 8 for 200,000 files, 12 for 65,000
// folders, the rest for links and scripts. Beyond, it forgets some at random, so that a larger commit costs more
// bit by bit.
type Inspector struct {
	MaxFiles int   // files and folders in one commit; 0: no limit
	MaxBytes int64 // bytes of all files in one commit; 0: no limit

	mu      sync.Mutex
	folders memory[facts]
	files   memory[uint32] // their sizes in bytes; of those that are no LFS pointers
	links   memory[facts]
	scripts memory[bool] // executable files: whether their first line ends in a carriage return
}

// Summary is what a tree holds.
type Summary struct {
	Files int
	Bytes int64

	// Scripts are executable files that the kernel will not run: their first line is "#!", and ends in a
	// carriage return, as files written on Windows do. The first five, in the commit's order.
	Scripts []string
}

// Refused is a tree that cannot be deployed.
type Refused struct {
	Reason string // "vendor/lib is a submodule"; names of files are as committed
	Advice string // what to do
}

func (r *Refused) Error() string { return r.Reason + "; " + r.Advice }

// facts are what is known of a tree, or of a file in one.
type facts struct {
	bytes   int64
	files   int32
	entries int32  // files and folders
	height  int16  // folders inside each other
	climb   int16  // how many folders above the tree its highest symbolic link leads
	climber string // that link
	scripts []string
}

const (
	maxFiles   = 200_000  // that are remembered, about 40 bytes each
	maxFolders = 65_000   // that are remembered, about 150 bytes each
	maxLinks   = 10_000   // that are remembered
	maxScripts = 20_000   // that are remembered
	tellScript = 5        // scripts that are told of
	maxHeight  = 200      // folders inside each other
	maxFolder  = 32 << 20 // bytes of a tree object, about 500,000 names; it is held in memory
	maxLink    = 4095     // PATH_MAX, less its end (limits.h)
	maxPointer = 1023     // bytes of an LFS pointer (git-lfs docs/spec.md)
	minPointer = 100
)

// Inspect looks through the tree called root. The error is a [*Refused] where the tree is at
// fault.
func (i *Inspector) Inspect(ctx context.Context, o *Objects, root string) (Summary, error) {
	w := walk{Inspector: i, objects: o, ctx: ctx, seen: map[plumbing.Hash]facts{}}
	f, err := w.tree(plumbing.NewHash(root), "", 0)
	switch {
	case err != nil:
		return Summary{}, err
	case f.files == 0:
		return Summary{}, &Refused{"the commit has no files", "git add them, commit, and push again"}
	case f.climb > 0:
		return Summary{}, leaves(f.climber)
	}
	return Summary{Files: int(f.files), Bytes: f.bytes, Scripts: f.scripts}, nil
}

func leaves(link string) *Refused {
	return &Refused{fmt.Sprintf("the symbolic link %s leads out of the repository", link),
		"an app sees only its own files: commit a copy, or a link to a file inside"}
}

// walk is one look through a tree.
type walk struct {
	*Inspector
	objects *Objects
	ctx     context.Context
	seen    map[plumbing.Hash]facts // whole, where what the Inspector remembers is bounded
}

func (w *walk) tree(h plumbing.Hash, at string, depth int) (facts, error) {
	f, known := w.recallTree(h)
	if depth+int(f.height) > maxHeight {
		return facts{}, &Refused{fmt.Sprintf("%s: more than %d folders inside each other", at, maxHeight), "remove them"}
	}
	if known {
		return f, w.limits(f)
	}
	if err := w.ctx.Err(); err != nil {
		return facts{}, err
	}
	if size, err := w.objects.EncodedObjectSize(h); err != nil {
		return facts{}, fmt.Errorf("tree %s: %w", h, err)
	} else if size > maxFolder {
		return facts{}, &Refused{fmt.Sprintf("the folder %s/ holds too many files", at), "keep data out of the repository"}
	}
	t, err := w.objects.tree(h)
	if err != nil {
		return facts{}, err
	}
	var sum facts
	for _, e := range t.Entries {
		f, err := w.entry(e, path.Join(at, e.Name), depth)
		if err != nil {
			return facts{}, err
		}
		sum.add(f, e.Name)
		if err := w.limits(sum); err != nil {
			return facts{}, err
		}
	}
	sum.height++
	w.seen[h] = sum
	remember(w.Inspector, &w.folders, maxFolders, h, sum)
	return sum, nil
}

// add counts what an entry called name adds to its tree. Sums stay at the largest number there is.
func (f *facts) add(e facts, name string) {
	f.files = saturated32(f.files, e.files)
	f.entries = saturated32(f.entries, e.entries)
	f.bytes = saturated(f.bytes, e.bytes)
	f.height = max(f.height, e.height)
	if e.climb > f.climb {
		f.climb, f.climber = e.climb, path.Join(name, e.climber)
	}
	for _, s := range e.scripts[:min(len(e.scripts), tellScript-len(f.scripts))] {
		f.scripts = append(f.scripts, path.Join(name, s))
	}
}

func saturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func saturated32(a, b int32) int32 { return int32(min(int64(a)+int64(b), math.MaxInt32)) }

func (w *walk) limits(f facts) error {
	if w.MaxFiles > 0 && int(f.entries) > w.MaxFiles {
		return &Refused{fmt.Sprintf("the commit has more than %d files and folders", w.MaxFiles), "keep data and dependencies out of the repository"}
	}
	if w.MaxBytes > 0 && f.bytes > w.MaxBytes {
		return &Refused{fmt.Sprintf("the files of the commit are larger than %s", Size(w.MaxBytes)), "keep data and dependencies out of the repository"}
	}
	return nil
}

func (w *walk) entry(e object.TreeEntry, at string, depth int) (facts, error) {
	switch e.Mode {
	case filemode.Dir:
		f, err := w.tree(e.Hash, at, depth+1)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			err = fmt.Errorf("%s: %w", at, err)
		}
		f.entries = saturated32(f.entries, 1)
		f.climb = max(0, f.climb-1) // its parent is a folder of ours
		return f, err
	case filemode.Submodule:
		return facts{}, &Refused{fmt.Sprintf("%s is a submodule, and its files are not part of this push", at),
			"commit the files themselves (git subtree does so), or install them as a dependency in the build"}
	case filemode.Symlink:
		return w.link(e.Hash, at)
	case filemode.Executable:
		f, err := w.file(e.Hash, at)
		if err == nil && w.script(e.Hash) {
			f.scripts = []string{""}
		}
		return f, err
	case filemode.Regular, filemode.Deprecated:
		return w.file(e.Hash, at)
	}
	return facts{}, &Refused{fmt.Sprintf("%s is neither a file, a folder nor a link (mode %s)", at, e.Mode), "commit it anew"}
}

func (w *walk) file(h plumbing.Hash, at string) (facts, error) {
	if size, ok := recall(w.Inspector, &w.files, h); ok {
		return facts{files: 1, entries: 1, bytes: int64(size)}, nil
	}
	size, err := w.objects.EncodedObjectSize(h)
	if err != nil {
		return facts{}, fmt.Errorf("%s: %w", at, err)
	}
	if minPointer <= size && size <= maxPointer {
		content, err := w.content(h)
		if err != nil {
			return facts{}, fmt.Errorf("%s: %w", at, err)
		}
		if isPointer(content) {
			return facts{}, &Refused{fmt.Sprintf("%s is a Git LFS pointer: the file itself is not part of this push", at),
				"git lfs migrate export --include='" + at + "' puts it into the repository; or fetch it in the build"}
		}
	}
	if size <= math.MaxUint32 {
		remember(w.Inspector, &w.files, maxFiles, h, uint32(size))
	}
	return facts{files: 1, entries: 1, bytes: size}, nil
}

func (w *walk) link(h plumbing.Hash, at string) (facts, error) {
	if f, ok := recall(w.Inspector, &w.links, h); ok {
		return f, nil
	}
	size, err := w.objects.EncodedObjectSize(h)
	if err != nil {
		return facts{}, fmt.Errorf("%s: %w", at, err)
	}
	if size > maxLink {
		return facts{}, leaves(at)
	}
	target, err := w.content(h)
	if err != nil {
		return facts{}, fmt.Errorf("%s: %w", at, err)
	}
	climb, ok := climbs(string(target))
	if !ok {
		return facts{}, leaves(at)
	}
	f := facts{files: 1, entries: 1, bytes: size, climb: int16(climb)}
	remember(w.Inspector, &w.links, maxLinks, h, f)
	return f, nil
}

// content is the content of an object known to be small.
func (w *walk) content(h plumbing.Hash) ([]byte, error) {
	r, err := w.objects.content(h)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

// recallTree is what is known of the tree called h.
func (w *walk) recallTree(h plumbing.Hash) (facts, bool) {
	if f, ok := w.seen[h]; ok {
		return f, true
	}
	return recall(w.Inspector, &w.folders, h)
}

// memory is what is remembered of objects of one kind: the same bytes may be a file and a link.
type memory[F any] map[plumbing.Hash]F

func recall[F any](i *Inspector, m *memory[F], h plumbing.Hash) (F, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f, ok := (*m)[h]
	return f, ok
}

// remember remembers f. Where there are most already it forgets half of them, whichever, in a new map:
// one that is deleted from again and again takes twice the memory.
func remember[F any](i *Inspector, m *memory[F], most int, h plumbing.Hash, f F) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if *m == nil {
		*m = memory[F]{}
	}
	if len(*m) >= most {
		half := make(memory[F], most/2)
		for h, f := range *m {
			if len(half) == most/2 {
				break
			}
			half[h] = f
		}
		*m = half
	}
	(*m)[h] = f
}
