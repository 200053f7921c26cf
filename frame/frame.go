// Package frame divides a stream between two processes of this server into frames, each with a
// kind. It knows nothing about their content.
package frame

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Kind says what a frame contains. The two sides agree on the kinds.
type Kind byte

// Max is the largest content of a frame in bytes. It limits what a reader allocates.
const Max = 64 << 10

// Write writes one frame in one call: its kind, the length of the content in 4 bytes, big-endian,
// and the content.
func Write(w io.Writer, k Kind, content []byte) error {
	if len(content) > Max {
		return fmt.Errorf("frame of %d bytes: at most %d", len(content), Max)
	}
	frame := make([]byte, 5, 5+len(content))
	frame[0] = byte(k)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(content)))
	_, err := w.Write(append(frame, content...))
	return err
}

// Read reads one frame. The error is io.EOF if the stream ends between two frames.
func Read(r io.Reader) (Kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > Max {
		return 0, nil, fmt.Errorf("frame of %d bytes: at most %d", size, Max)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(r, content); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return Kind(head[0]), content, nil
}

// Writer writes everything as frames of one kind.
type Writer struct {
	To   io.Writer
	Kind Kind
}

func (f Writer) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+Max)]
		if err := Write(f.To, f.Kind, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
