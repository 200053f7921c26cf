package remote

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

const (
	temporary = "tmp_*" // names of files that no fetch has finished
	// maxObjects is how many objects a pack may hold; each costs about 300 bytes of memory.
	maxObjects = 1 << 20
)

// receive writes a pack to a temporary file and returns its name, and the objects that it refers
// to by theirs. What is unpacked from it is measured as it arrives, since go-git indexes in memory:
// a few bytes can claim to be a file of a terabyte. gitformat-pack(5) has the format.
func (s *store) receive(from io.Reader) (name string, bases map[plumbing.Hash]bool, err error) {
	f, err := os.CreateTemp(s.folder(), temporary)
	if err != nil {
		return "", nil, &damage{err}
	}
	out := bufio.NewWriterSize(f, 64<<10)
	defer func() {
		err = errors.Join(err, out.Flush(), f.Close())
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	in := &capped{r: from, left: s.limits.pack}
	scanner := packfile.NewScanner(io.TeeReader(in, out))
	_, count, err := scanner.Header()
	if err != nil {
		return "", nil, torn(err)
	}
	if count > maxObjects {
		return "", nil, faultf(ErrTooLarge, "the commit has more than %d objects; keep data and dependencies out of the repository", maxObjects)
	}
	bases = map[plumbing.Hash]bool{}
	for range count {
		h, err := s.measure(scanner)
		if err != nil {
			return "", nil, torn(err)
		}
		if h.Type == plumbing.REFDeltaObject {
			bases[h.Reference] = true
		}
	}
	if _, err := scanner.Checksum(); err != nil {
		return "", nil, torn(err)
	}
	// The end of the message, so that the connection can be used again.
	return f.Name(), bases, scanner.Close()
}

// torn says in our words that a pack was cut off.
func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, packfile.ErrEmptyPackfile) {
		return errCut
	}
	return err
}

// measure reads one object.
func (s *store) measure(scanner *packfile.Scanner) (*packfile.ObjectHeader, error) {
	h, err := scanner.NextObjectHeader()
	if err != nil {
		return nil, err
	}
	var delta sizes
	var into io.Writer = io.Discard
	if h.Type.IsDelta() {
		into = &delta
	}
	if h.Length > s.limits.file {
		return nil, s.tooLarge()
	}
	n, _, err := scanner.NextObject(into)
	switch {
	case err != nil:
		return nil, err
	case n != h.Length:
		return nil, packfile.ErrMalformedPackFile
	case h.Type.IsDelta() && delta.result() > uint64(s.limits.file):
		return nil, s.tooLarge()
	}
	return h, nil
}

func (s *store) tooLarge() error {
	return faultf(ErrTooLarge, "a file of the commit is larger than %d MiB; keep data out of the repository", s.limits.file>>20)
}

// sizes are the first bytes of a delta: the size of what it is applied to, and of its result.
type sizes struct{ start []byte }

func (z *sizes) Write(p []byte) (int, error) {
	if room := 2*binary.MaxVarintLen64 - len(z.start); room > 0 {
		z.start = append(z.start, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (z *sizes) result() uint64 {
	_, n := binary.Uvarint(z.start)
	if n <= 0 {
		return 0 // no delta at all; who applies it says so
	}
	size, _ := binary.Uvarint(z.start[n:])
	return size
}

// capped reads up to left bytes, and fails where there are more.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, faultf(ErrTooLarge, "the commit is larger than is fetched; keep data and dependencies out of the repository")
	}
	return n, err
}

// keep gives a received pack its index and its name. The index, which makes a pack one, comes
// last.
func (s *store) keep(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	writer := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(&whileRead{f, ctx}), writer)
	if err != nil {
		return err
	}
	sum, err := parser.Parse()
	if err != nil {
		return err
	}
	index, err := writer.Index()
	if err != nil {
		return err
	}
	base := filepath.Join(s.folder(), fmt.Sprintf("pack-%s", sum))
	if err := writeIndex(s.folder(), base+".idx", index, func() error { return os.Rename(name, base+".pack") }); err != nil {
		return err
	}
	s.packs = append(s.packs, index)
	return nil
}

func writeIndex(folder, name string, index *idxfile.MemoryIndex, before func() error) error {
	f, err := os.CreateTemp(folder, temporary)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	out := bufio.NewWriter(f)
	_, err = idxfile.NewEncoder(out).Encode(index)
	if err := errors.Join(err, out.Flush(), f.Close()); err != nil {
		return err
	}
	if err := before(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// whileRead is a file that can be read while ctx has not ended.
type whileRead struct {
	*os.File
	ctx context.Context
}

func (w *whileRead) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.File.Read(p)
}
