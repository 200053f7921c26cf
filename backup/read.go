package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"paas/volume"
)

// Reader reads an archive, entry by entry.
type Reader struct {
	Header Header

	tar   *tar.Reader
	plain *counter
	close func()
}

// Open reads the beginning of an archive. Close the Reader at the end. The error is one of the
// package's, or that of in. limit is how many bytes may come out of the compression.
func Open(in io.Reader, key Key, limit int64) (*Reader, error) {
	plain, close, err := open(in, key)
	if err != nil {
		return nil, err
	}
	r := &Reader{plain: &counter{in: plain, left: limit}, close: close}
	r.tar = tar.NewReader(r.plain)
	h, err := r.tar.Next()
	if err == nil && (h.Name != headerName || h.Typeflag != tar.TypeReg) {
		err = ErrNoBackup
	}
	if err == nil {
		err = r.facts(&r.Header)
	}
	if err == nil {
		err = r.Header.check()
	}
	if err != nil {
		close()
		return nil, torn(err)
	}
	return r, nil
}

// Close frees what the reader holds.
func (r *Reader) Close() { r.close() }

func (h Header) check() error {
	if h.Format < 1 {
		return ErrNoBackup
	}
	if h.Format > Format {
		return fmt.Errorf("the backup has format %d, and this paas reads formats up to %d; use a newer paas",
			h.Format, Format)
	}
	if !h.Server && len(h.Apps) != 1 {
		return odd("it is of %d apps", len(h.Apps))
	}
	for _, name := range h.Apps {
		if err := volume.CheckName(name); err != nil {
			return odd("%v", err)
		}
	}
	return nil
}

// odd is the error for content that this program does not write.
func odd(format string, args ...any) error {
	return fmt.Errorf("the backup has odd content: "+format, args...)
}

// torn wraps an error of the compression, the encryption or tar in [ErrTorn].
func torn(err error) error {
	switch {
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrNoBackup), errors.Is(err, ErrTorn):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errEarly
	case errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("%w: %w", ErrTorn, err)
	}
	return err
}

var errEarly = fmt.Errorf("%w: it ends too early", ErrTorn)

// counter lets through so many bytes. What it reads fails with [ErrTorn], unless the source fails.
type counter struct {
	in   io.Reader
	left int64
}

func (c *counter) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := c.in.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	if err != nil && err != io.EOF {
		var path *fs.PathError
		switch {
		case errors.As(err, &path):
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = errEarly
		default:
			err = fmt.Errorf("%w: %w", ErrTorn, err)
		}
	}
	return n, err
}

// facts reads the JSON of the present entry.
func (r *Reader) facts(into any) error {
	content, err := r.content(maxFacts)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return odd("%v", err)
	}
	return nil
}

// content reads the present entry.
func (r *Reader) content(limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r.tar, limit+1))
	if int64(len(content)) > limit {
		err = odd("a file is larger than %d bytes", limit)
	}
	return content, err
}

// entry is one entry of an archive.
type entry struct {
	*tar.Header
	path []string // of its name, at least one
	dir  bool
	link bool
}

// next returns the next entry; io.EOF after the last one, once the archive has proved to be whole.
func (r *Reader) next() (e entry, err error) {
	h, err := r.tar.Next()
	if err == io.EOF {
		return e, r.rest()
	}
	if err != nil {
		return e, torn(err)
	}
	e.Header = h
	name := h.Name
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		e.dir, name = true, strings.TrimSuffix(name, "/")
	case tar.TypeSymlink:
		e.link = true
		if h.Linkname == "" || len(h.Linkname) > maxPath {
			return e, odd("a link leads to a path of %d bytes", len(h.Linkname))
		}
	default:
		return e, odd("%.80q is no file, folder or link", name)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return e, odd("%.80q is a file with holes", name)
		}
	}
	// not fs.ValidPath, which wants UTF-8: apps give files any name
	if name == "" || path.Clean(name) != name || path.IsAbs(name) || name == ".." ||
		strings.HasPrefix(name, "../") || len(name) > maxPath || strings.ContainsRune(name, 0) {
		return e, odd("%.80q is no path in a backup", name)
	}
	if e.path = strings.Split(name, "/"); len(e.path) > maxDepth+10 {
		return e, odd("%.80q is too deep", name)
	}
	return e, nil
}

const maxPath = 4096

// rest reads to the end of the stream: only then has its checksum been compared.
func (r *Reader) rest() error {
	const padding = 1 << 20 // tar may fill its last block
	n, err := io.Copy(io.Discard, io.LimitReader(r.plain, padding+1))
	switch {
	case err != nil:
		return torn(err)
	case n > padding:
		return odd("something follows its end")
	}
	return io.EOF
}

var (
	buildID = regexp.MustCompile(`^[0-9a-f]{1,12}-[a-z2-7]{4}(-worktree)?$`)
	commits = regexp.MustCompile(`^[0-9a-f]{40}$`)
	appID   = regexp.MustCompile(`^[A-Za-z0-9]{8,64}$`)
	numbers = regexp.MustCompile(`^[1-9][0-9]{0,6}\.json$`)
	indexes = regexp.MustCompile(`^[0-9]{6}$`)
	certs   = regexp.MustCompile(`^(accounts|acme|own)/[A-Za-z0-9._-]{1,255}$`)
)
