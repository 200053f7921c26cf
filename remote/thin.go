package remote

import (
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"

	"paas/git"
)

// completeThin appends the missing base objects to a thin pack, which contains deltas against
// objects that we have. On disk each pack must be self-contained (gitformat-pack(5)). It does what
// git index-pack --fix-thin does.
func (s *store) completeThin(ctx context.Context, name string, bases map[plumbing.Hash]bool) error {
	if len(bases) == 0 {
		return nil
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(-sha1.Size, io.SeekEnd); err != nil { // overwrite the checksum
		return err
	}
	objects := git.Repo{Dir: s.dir}.Objects()
	defer objects.Close()
	var added uint32
	for base := range bases {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !s.has(base) { // it is in the pack itself
			continue
		}
		object, err := objects.EncodedObject(plumbing.AnyObject, base)
		if err != nil {
			return err
		}
		if err := appendObject(f, object); err != nil {
			return err
		}
		added++
	}
	return seal(f, added)
}

func appendObject(w io.Writer, object plumbing.EncodedObject) error {
	// Type and size: 4 bits of the size, then 7 bits per byte, lowest first.
	size := uint64(object.Size())
	head := []byte{byte(object.Type())<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	r, err := object.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	z := zlib.NewWriter(w)
	_, err = io.Copy(z, r)
	return errors.Join(err, z.Close())
}

// seal updates the object count and the checksum of a pack.
func seal(f *os.File, added uint32) error {
	end, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	var count [4]byte
	if _, err := f.ReadAt(count[:], 8); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(count[:], binary.BigEndian.Uint32(count[:])+added)
	if _, err := f.WriteAt(count[:], 8); err != nil {
		return err
	}
	h := sha1.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, end)); err != nil {
		return err
	}
	if _, err := f.WriteAt(h.Sum(nil), end); err != nil {
		return err
	}
	return f.Truncate(end + sha1.Size)
}
