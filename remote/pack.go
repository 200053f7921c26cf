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
	tempPattern = "tmp_*" // unfinished files
	maxObjects  = 1 << 20 // per pack; each costs about 300 bytes of memory
)

// receive writes a pack to a temporary file. It returns the file's name and the objects that deltas
// in the pack name as their base. It measures every object, because go-git unpacks in memory and a
// few bytes can expand to a terabyte. The format is in gitformat-pack(5).
func (s *store) receive(from io.Reader) (name string, bases map[plumbing.Hash]bool, err error) {
	f, err := os.CreateTemp(s.packDir(), tempPattern)
	if err != nil {
		return "", nil, &storeError{err}
	}
	out := bufio.NewWriterSize(f, 64<<10)
	defer func() {
		err = errors.Join(err, out.Flush(), f.Close())
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	in := &cappedReader{r: from, left: s.limits.pack}
	scanner := packfile.NewScanner(io.TeeReader(in, out))
	_, count, err := scanner.Header()
	if err != nil {
		return "", nil, packError(err)
	}
	if count > maxObjects {
		return "", nil, errorf(ErrTooLarge, "the commit has more than %d objects; keep data and "+
			"dependencies out of the repository", maxObjects)
	}
	bases = map[plumbing.Hash]bool{}
	for range count {
		h, err := s.checkObject(scanner)
		if err != nil {
			return "", nil, packError(err)
		}
		if h.Type == plumbing.REFDeltaObject {
			bases[h.Reference] = true
		}
	}
	if _, err := scanner.Checksum(); err != nil {
		return "", nil, packError(err)
	}
	// Read to the end of the message, so that the connection can be reused.
	return f.Name(), bases, scanner.Close()
}

// packError reports a truncated pack as errCutOff.
func packError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, packfile.ErrEmptyPackfile) {
		return errCutOff
	}
	return err
}

// checkObject reads the next object and checks its size.
func (s *store) checkObject(scanner *packfile.Scanner) (*packfile.ObjectHeader, error) {
	h, err := scanner.NextObjectHeader()
	if err != nil {
		return nil, err
	}
	var delta deltaHeader
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
	case h.Type.IsDelta() && delta.resultSize() > uint64(s.limits.file):
		return nil, s.tooLarge()
	}
	return h, nil
}

func (s *store) tooLarge() error {
	return errorf(ErrTooLarge,
		"a file of the commit is larger than %d MiB; keep data out of the repository",
		s.limits.file>>20)
}

// deltaHeader collects the start of a delta, which contains the sizes of its base and its result.
type deltaHeader struct{ start []byte }

func (d *deltaHeader) Write(p []byte) (int, error) {
	if room := 2*binary.MaxVarintLen64 - len(d.start); room > 0 {
		d.start = append(d.start, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (d *deltaHeader) resultSize() uint64 {
	_, n := binary.Uvarint(d.start)
	if n <= 0 {
		return 0 // not a delta; applying it will fail
	}
	size, _ := binary.Uvarint(d.start[n:])
	return size
}

// cappedReader returns ErrTooLarge after left bytes.
type cappedReader struct {
	r    io.Reader
	left int64
}

func (c *cappedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errorf(ErrTooLarge, "the commit is too large; keep data and dependencies out of "+
			"the repository")
	}
	return n, err
}

// install indexes a received pack and moves both to their final names, the index last, because git
// finds packs by their index.
func (s *store) install(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	writer := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(&ctxFile{f, ctx}), writer)
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
	base := filepath.Join(s.packDir(), fmt.Sprintf("pack-%s", sum))
	if err := writeIndex(s.packDir(), base+".idx", index,
		func() error { return os.Rename(name, base+".pack") }); err != nil {
		return err
	}
	s.indexes = append(s.indexes, index)
	return nil
}

func writeIndex(folder, name string, index *idxfile.MemoryIndex, before func() error) error {
	f, err := os.CreateTemp(folder, tempPattern)
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

// ctxFile is a file whose Read fails once ctx has ended.
type ctxFile struct {
	*os.File
	ctx context.Context
}

func (w *ctxFile) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.File.Read(p)
}
