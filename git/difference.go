package git

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// difference is the work of an update.
type difference struct {
	after   []entry // all files of the new commit
	changed []entry // the entries of after that must be written
	removed []entry // files of the previous commit that the new one does not have; sorted by path
	added   bool    // after has files that the previous commit did not have

	folders []string // new ones, and those that an interrupted update may have left empty; sorted
	blocked levels   // new ones whose name belongs to a file or a link
}

// compare returns the difference between the files written before and those of a commit.
func compare(before map[string]entry, after []entry) difference {
	d := difference{after: after}
	still := make(map[string]struct{}, len(after))
	for _, e := range after {
		still[e.path] = struct{}{}
		old, ours := before[e.path]
		if !ours {
			d.added = true
		}
		if old != e {
			d.changed = append(d.changed, e)
		}
	}
	for p, e := range before {
		if _, ok := still[p]; !ok {
			d.removed = append(d.removed, e)
		}
	}
	slices.SortFunc(d.removed, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return d
}

// behindLink reports whether one of our folders that is to be written to has been replaced, by a
// link for instance. Files that the app removed stay removed, but files behind a link were not
// removed.
func (d difference) behindLink(before map[string]entry, root folder) bool {
	at := dirCursor{root: root, openSub: folder.subfolder}
	defer at.close()
	for _, e := range d.changed {
		_, err := at.folderOf(e.path)
		var no *fs.PathError
		if !isNoFolder(err) || !errors.As(err, &no) {
			continue
		}
		for p := range before {
			if strings.HasPrefix(p, no.Path+"/") {
				return true
			}
		}
	}
	return false
}

// changedOnDisk returns the entries whose files below root differ from the commit, by content.
func (o *Objects) changedOnDisk(ctx context.Context, entries []entry, root folder) ([]entry,
	error) {
	group, ctx := errgroup.WithContext(ctx)
	var lookups sync.Mutex // go-git does not allow concurrent ones
	same := make([]bool, len(entries))
	for first := range numWriters {
		group.Go(func() error {
			at := dirCursor{root: root, openSub: folder.subfolder}
			defer at.close()
			for i := first; i < len(entries); i += numWriters {
				e := entries[i]
				lookups.Lock()
				size, err := o.EncodedObjectSize(e.hash)
				lookups.Unlock()
				if err != nil {
					return fmt.Errorf("%s: %w", e.path, err)
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				in, err := at.folderOf(e.path)
				same[i] = err == nil && e.matches(in, path.Base(e.path), size)
			}
			return nil
		})
	}
	err := group.Wait()
	var differ []entry
	for i, e := range entries {
		if !same[i] {
			differ = append(differ, e)
		}
	}
	return differ, err
}

// matches reports whether the file called name has the entry's content, of size bytes, and mode. It
// returns false if the file cannot be read.
func (e entry) matches(in folder, name string, size int64) bool {
	if e.mode == filemode.Symlink {
		target, err := in.readlink(name)
		return err == nil && plumbing.ComputeHash(plumbing.BlobObject, []byte(target)) == e.hash
	}
	f, err := in.openFile(name, unix.O_RDONLY|unix.O_NONBLOCK, 0) // else a named pipe would block
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != size ||
		info.Mode()&0o100 != 0 != (e.mode == filemode.Executable) {
		return false // check the size first: the app may have put a huge file here
	}
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", size)
	if _, err := io.Copy(sum, io.LimitReader(f, size)); err != nil {
		return false
	}
	return plumbing.Hash(sum.Sum(nil)) == e.hash
}
