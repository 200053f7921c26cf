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

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"golang.org/x/sync/errgroup"
)

// difference is what an update has to do.
type difference struct {
	after   []entry // all files of the new commit
	changed []entry // those of them to write
	gone    []entry // ours before, and no more; sorted by path
	added   bool    // some of after were not ours before

	folders []string // new ones, and those that an update before may have left empty; sorted
	blocked levels   // new ones with a file or a link in their way
}

// compare says what differs between what was written before and a commit.
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
			d.gone = append(d.gone, e)
		}
	}
	slices.SortFunc(d.gone, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return d
}

// hidden says whether something else has taken the place of a folder of ours that is to be written
// to. What the app removed stays removed, but what it only put behind a link was not removed.
func (d difference) hidden(before map[string]entry, root folder) bool {
	at := place{root: root, step: folder.sub}
	defer at.close()
	for _, e := range d.changed {
		_, err := at.of(e.path)
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

// differing are those of entries that are not below root as they are in the commit, told by their
// content.
func (o *Objects) differing(ctx context.Context, entries []entry, root folder) ([]entry, error) {
	type look struct {
		number int
		size   int64
	}
	group, ctx := errgroup.WithContext(ctx)
	looks := make(chan look, readAhead)
	group.Go(func() error { // go-git takes one caller at a time
		defer close(looks)
		for i, e := range entries {
			size, err := o.EncodedObjectSize(e.hash)
			if err != nil {
				return fmt.Errorf("%s: %w", e.path, err)
			}
			select {
			case looks <- look{i, size}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	same := make([]bool, len(entries))
	for range writers {
		group.Go(func() error {
			at := place{root: root, step: folder.sub}
			defer at.close()
			for l := range looks {
				e := entries[l.number]
				in, err := at.of(e.path)
				same[l.number] = err == nil && e.is(in, path.Base(e.path), l.size)
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

// is says whether the entry, of size bytes, is in the folder under name. What cannot be read is not.
func (e entry) is(in folder, name string, size int64) bool {
	if e.mode == filemode.Symlink {
		target, err := in.target(name)
		return err == nil && plumbing.ComputeHash(plumbing.BlobObject, []byte(target)) == e.hash
	}
	f, err := in.read(name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != size || info.Mode()&0o100 != 0 != (e.mode == filemode.Executable) {
		return false // the size first: the app may have put a file of any size here
	}
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", size)
	if _, err := io.Copy(sum, io.LimitReader(f, size)); err != nil {
		return false
	}
	return plumbing.Hash(sum.Sum(nil)) == e.hash
}
