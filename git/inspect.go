package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"paas/say"
)

// Inspector measures the tree of a commit and refuses what cannot be deployed, before any file is
// written. The zero Inspector has no limits. It is safe for concurrent use.
//
// It remembers inspected objects of all repositories by their hashes. So a push costs little more
// than its changes, and a tree that contains itself many times (a "git bomb") costs no more than
// once. This takes up to 24 MB: 8 for 200,000 files, 12 for 65,000 folders, and the rest for links
// and scripts. Beyond that it forgets entries at random, so that the cost of larger commits grows
// gradually.
type Inspector struct {
	MaxFiles int   // files and folders in one commit; 0: no limit
	MaxBytes int64 // bytes of all files in one commit; 0: no limit

	mu      sync.Mutex
	folders factCache[treeFacts]
	files   factCache[uint32] // sizes in bytes, without LFS pointers
	links   factCache[treeFacts]
	scripts factCache[bool] // executable files: whether hasCarriageReturn
}

// Summary is the result of [Inspector.Inspect].
type Summary struct {
	Files int
	Bytes int64

	// Scripts lists the first executable files that the kernel cannot run, because their "#!" line
	// ends in a carriage return, as in files written on Windows. At most five, in the commit's
	// order.
	Scripts []string

	Modules []Module // submodules, whose files are not counted
}

// Refused is the error for a tree that cannot be deployed.
type Refused struct {
	// such as "vendor/lib is a submodule"; names are as committed, so they may contain anything
	Reason string
	Advice string // what to do
}

func (r *Refused) Error() string { return r.Reason + "; " + r.Advice }

// treeFacts is what is known about a tree, or about a file in one.
type treeFacts struct {
	bytes    int64
	files    int32
	entries  int32  // files and folders
	depth    int16  // of nested folders
	climb    int16  // folders above the tree that its furthest symbolic link can lead
	climber  string // path of that link
	scripts  []string
	pointers []string // Git LFS pointers
	modules  []Module // without URLs
}

const (
	maxKnownFiles   = 200_000 // remembered; about 40 bytes each
	maxKnownFolders = 65_000  // remembered; about 150 bytes each
	maxKnownLinks   = 10_000
	maxKnownScripts = 20_000
	maxListed       = 5        // scripts and LFS pointers
	maxDepth        = 200      // of nested folders
	maxFolder       = 32 << 20 // bytes of a tree object, about 500,000 names, in memory
	maxLink         = 4095     // PATH_MAX without its NUL (limits.h)
	maxLFSPointer   = 1023     // bytes of an LFS pointer (git-lfs docs/spec.md)
	minLFSPointer   = 100
)

// Inspect inspects the tree called root. The error is a [*Refused] if it cannot be deployed.
func (i *Inspector) Inspect(ctx context.Context, o *Objects, root string) (Summary, error) {
	w := inspection{Inspector: i, objects: o, ctx: ctx, seen: map[plumbing.Hash]treeFacts{}}
	f, err := w.tree(plumbing.NewHash(root), "", 0)
	switch {
	case err != nil:
		return Summary{}, err
	case f.files == 0:
		return Summary{}, &Refused{"the commit has no files", "git add them, commit, and push again"}
	case f.climb > 0:
		return Summary{}, escapes(f.climber)
	case len(f.pointers) > 0:
		return Summary{}, lfs(f.pointers)
	}
	s := Summary{Files: int(f.files), Bytes: f.bytes, Scripts: f.scripts}
	if len(f.modules) > 0 {
		s.Modules, err = w.withURLs(plumbing.NewHash(root), f.modules)
	}
	return s, err
}

// Limit returns a [*Refused] if a commit and its submodules have too many files or bytes together.
func (i *Inspector) Limit(files int, bytes int64) error {
	in := inspection{Inspector: i}
	return in.limits(treeFacts{entries: int32(min(files, math.MaxInt32)), bytes: bytes})
}

func escapes(link string) *Refused {
	return &Refused{fmt.Sprintf("the symbolic link %s leads out of the repository", link),
		"an app sees only its own files: commit a copy, or a link to a file inside"}
}

// lfs refuses pointers, at most maxListed and one.
func lfs(pointers []string) *Refused {
	what := "are Git LFS pointers: the files themselves are"
	if len(pointers) == 1 {
		what = "is a Git LFS pointer: the file itself is"
	}
	names, include := strings.Join(pointers, ", "), strings.Join(pointers, ",")
	if len(pointers) > maxListed {
		names, include = strings.Join(pointers[:maxListed], ", ")+" and others", "*"
	}
	return &Refused{names + " " + what + " not part of this push",
		"git lfs migrate export --include='" + strings.ReplaceAll(include, "'", `'\''`) +
			"' puts them into the repository; or fetch them in the build"}
}

// inspection is the state of one [Inspector.Inspect].
type inspection struct {
	*Inspector
	objects *Objects
	ctx     context.Context
	seen    map[plumbing.Hash]treeFacts // complete for this tree, while the Inspector forgets
}

func (in *inspection) tree(h plumbing.Hash, at string, depth int) (treeFacts, error) {
	f, known := in.recallTree(h)
	if depth+int(f.depth) > maxDepth {
		return treeFacts{},
			&Refused{fmt.Sprintf("%s: more than %d folders inside each other", at, maxDepth),
				"remove them"}
	}
	if known {
		return f, in.limits(f)
	}
	if err := in.ctx.Err(); err != nil {
		return treeFacts{}, err
	}
	if size, err := in.objects.EncodedObjectSize(h); err != nil {
		return treeFacts{}, fmt.Errorf("tree %s: %w", h, err)
	} else if size > maxFolder {
		return treeFacts{}, &Refused{fmt.Sprintf("the folder %s/ contains too many files", at),
			"keep data out of the repository"}
	}
	t, err := in.objects.tree(h)
	if err != nil {
		return treeFacts{}, err
	}
	var sum treeFacts
	for _, e := range t.Entries {
		f, err := in.entry(e, path.Join(at, e.Name), depth)
		if err != nil {
			return treeFacts{}, err
		}
		sum.add(f, e.Name)
		if err := in.limits(sum); err != nil {
			return treeFacts{}, err
		}
	}
	sum.depth++
	in.seen[h] = sum
	store(in.Inspector, &in.folders, maxKnownFolders, h, sum)
	return sum, nil
}

// add adds an entry called name to its tree. Sums saturate.
func (f *treeFacts) add(e treeFacts, name string) {
	f.files = saturated32(f.files, e.files)
	f.entries = saturated32(f.entries, e.entries)
	f.bytes = saturated(f.bytes, e.bytes)
	f.depth = max(f.depth, e.depth)
	if e.climb > f.climb {
		f.climb, f.climber = e.climb, path.Join(name, e.climber)
	}
	f.scripts = appendIn(f.scripts, name, e.scripts, maxListed)
	f.addModules(name, e.modules)
	f.pointers = appendIn(f.pointers, name, e.pointers, maxListed+1)
}

// appendIn appends the paths of an entry called name, as long as there are at most limit.
func appendIn(paths []string, name string, in []string, limit int) []string {
	for _, p := range in[:min(len(in), limit-len(paths))] {
		paths = append(paths, path.Join(name, p))
	}
	return paths
}

func saturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func saturated32(a, b int32) int32 { return int32(min(int64(a)+int64(b), math.MaxInt32)) }

func (in *inspection) limits(f treeFacts) error {
	if in.MaxFiles > 0 && int(f.entries) > in.MaxFiles {
		return &Refused{fmt.Sprintf("the commit has more than %d files and folders", in.MaxFiles),
			"keep data and dependencies out of the repository"}
	}
	if in.MaxBytes > 0 && f.bytes > in.MaxBytes {
		return &Refused{fmt.Sprintf("the files of the commit are larger than %s",
			say.Limit(in.MaxBytes)), "keep data and dependencies out of the repository"}
	}
	return nil
}

func (in *inspection) entry(e object.TreeEntry, at string, depth int) (treeFacts, error) {
	switch e.Mode {
	case filemode.Dir:
		f, err := in.tree(e.Hash, at, depth+1)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			err = fmt.Errorf("%s: %w", at, err)
		}
		f.entries = saturated32(f.entries, 1)
		f.climb = max(0, f.climb-1) // its parent is inside the tree
		return f, err
	case filemode.Submodule:
		return treeFacts{entries: 1, modules: []Module{{Commit: e.Hash.String()}}}, nil
	case filemode.Symlink:
		return in.link(e.Hash, at)
	case filemode.Executable:
		f, err := in.file(e.Hash, at)
		if err == nil && in.hasCarriageReturn(e.Hash) {
			f.scripts = []string{""}
		}
		return f, err
	case filemode.Regular, filemode.Deprecated:
		return in.file(e.Hash, at)
	}
	return treeFacts{},
		&Refused{fmt.Sprintf("%s is neither a file, a folder nor a link (mode %s)", at, e.Mode),
			"commit it again"}
}

func (in *inspection) file(h plumbing.Hash, at string) (treeFacts, error) {
	if size, ok := load(in.Inspector, &in.files, h); ok {
		return treeFacts{files: 1, entries: 1, bytes: int64(size)}, nil
	}
	size, err := in.objects.EncodedObjectSize(h)
	if err != nil {
		return treeFacts{}, fmt.Errorf("%s: %w", at, err)
	}
	if minLFSPointer <= size && size <= maxLFSPointer {
		content, err := in.content(h)
		if err != nil {
			return treeFacts{}, fmt.Errorf("%s: %w", at, err)
		}
		if isLFSPointer(content) {
			return treeFacts{files: 1, entries: 1, pointers: []string{""}}, nil
		}
	}
	if size <= math.MaxUint32 {
		store(in.Inspector, &in.files, maxKnownFiles, h, uint32(size))
	}
	return treeFacts{files: 1, entries: 1, bytes: size}, nil
}

func (in *inspection) link(h plumbing.Hash, at string) (treeFacts, error) {
	if f, ok := load(in.Inspector, &in.links, h); ok {
		return f, nil
	}
	size, err := in.objects.EncodedObjectSize(h)
	if err != nil {
		return treeFacts{}, fmt.Errorf("%s: %w", at, err)
	}
	if size > maxLink {
		return treeFacts{}, escapes(at)
	}
	target, err := in.content(h)
	if err != nil {
		return treeFacts{}, fmt.Errorf("%s: %w", at, err)
	}
	climb, ok := linkClimb(string(target))
	if !ok {
		return treeFacts{}, escapes(at)
	}
	f := treeFacts{files: 1, entries: 1, bytes: size, climb: int16(climb)}
	store(in.Inspector, &in.links, maxKnownLinks, h, f)
	return f, nil
}

// content returns the content of an object that is known to be small.
func (in *inspection) content(h plumbing.Hash) ([]byte, error) {
	r, err := in.objects.content(h)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

// recallTree returns what is known about a tree.
func (in *inspection) recallTree(h plumbing.Hash) (treeFacts, bool) {
	if f, ok := in.seen[h]; ok {
		return f, true
	}
	return load(in.Inspector, &in.folders, h)
}

// factCache caches facts of one kind, since the same object can be both a file and a link.
type factCache[F any] map[plumbing.Hash]F

func load[F any](i *Inspector, m *factCache[F], h plumbing.Hash) (F, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f, ok := (*m)[h]
	return f, ok
}

// store adds f. If the cache is full, it first drops a random half by copying to a new map, because
// a map from which entries are deleted again and again grows to twice the size.
func store[F any](i *Inspector, m *factCache[F], limit int, h plumbing.Hash, f F) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if *m == nil {
		*m = factCache[F]{}
	}
	if len(*m) >= limit {
		half := make(factCache[F], limit/2)
		for h, f := range *m {
			if len(half) == limit/2 {
				break
			}
			half[h] = f
		}
		*m = half
	}
	(*m)[h] = f
}
