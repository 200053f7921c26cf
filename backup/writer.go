package backup

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"
)

// writer writes the entries of an archive.
type writer struct {
	tar    *tar.Writer
	end    End
	buffer []byte
}

func newWriter(w io.Writer) *writer {
	return &writer{tar: tar.NewWriter(w), buffer: make([]byte, 256<<10)}
}

// note records what is not as it should be.
func (w *writer) note(format string, args ...any) {
	if len(w.end.Notes) < maxNotes {
		w.end.Notes = append(w.end.Notes, fmt.Sprintf(format, args...))
	}
}

// json writes value as a file.
func (w *writer) json(name string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if len(content) > maxFacts {
		return fmt.Errorf("%s has %d bytes; a backup takes %d", name, len(content), maxFacts)
	}
	return w.small(name, content)
}

// small writes a file that is in memory.
func (w *writer) small(name string, content []byte) error {
	err := w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600, ModTime: time.Now(),
	})
	if err == nil {
		_, err = w.tar.Write(content)
	}
	return err
}

// pieces writes what is written to it as the files name/000000, name/000001 and so on: tar wants the
// size of a file before its content. Call close at the end.
type pieces struct {
	to      *writer
	name    string
	n       int
	pending []byte
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.pending == nil {
		p.pending = make([]byte, 0, piece)
	}
	for rest := b; len(rest) > 0; {
		n := min(len(rest), piece-len(p.pending))
		p.pending, rest = append(p.pending, rest[:n]...), rest[n:]
		if len(p.pending) == piece {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}

func (p *pieces) flush() error {
	if len(p.pending) == 0 {
		return nil
	}
	err := p.to.small(path.Join(p.name, fmt.Sprintf("%06d", p.n)), p.pending)
	p.n, p.pending = p.n+1, p.pending[:0]
	return err
}

// file writes a file of that size from r. A file that has become shorter is filled with zeros, as tar
// does, and changed is true.
func (w *writer) file(name string, info fs.FileInfo, r io.Reader) (changed bool, err error) {
	size := info.Size()
	err = w.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: int64(info.Mode().Perm()),
		ModTime: info.ModTime(), Format: tar.FormatPAX,
	})
	if err != nil {
		return false, err
	}
	n, err := io.CopyBuffer(onlyWriter{w.tar}, io.LimitReader(r, size), w.buffer)
	if err != nil {
		return false, err
	}
	w.end.Files++
	w.end.Bytes += size
	if n == size {
		return false, nil
	}
	clear(w.buffer)
	for ; n < size && err == nil; n += int64(len(w.buffer)) {
		_, err = w.tar.Write(w.buffer[:min(size-n, int64(len(w.buffer)))])
	}
	return true, err
}

// onlyWriter hides ReadFrom, so that the buffer is used.
type onlyWriter struct{ io.Writer }
