package receiver

import (
	"encoding/binary"
	"fmt"
	"io"
)

// kind says what a frame between a hook and the server holds.
type kind byte

const (
	// From the hook, in this order.
	frameToken kind = 't' // which push this is
	frameName  kind = 'n' // pre-receive or post-receive
	frameEnv   kind = 'v' // KEY=VALUE, any number
	frameLine  kind = 'l' // a line of the hook's input, any number
	frameEnd   kind = '.' // the input has ended

	// From the server.
	frameOut  kind = 'o' // bytes for the pusher, any number
	frameExit kind = 'x' // one byte: the status the hook ends with
)

// maxFrame is the most bytes a frame holds. It bounds what a reader allocates.
const maxFrame = 64 << 10

// writeFrame writes one frame: its kind, the length of its content in 4 bytes, most significant
// first, and the content.
func writeFrame(w io.Writer, k kind, content []byte) error {
	if len(content) > maxFrame {
		return fmt.Errorf("frame of %d bytes: at most %d", len(content), maxFrame)
	}
	frame := make([]byte, 5, 5+len(content))
	frame[0] = byte(k)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(content)))
	_, err := w.Write(append(frame, content...))
	return err
}

// readFrame reads one frame. The error is io.EOF where the other side ended between two frames.
func readFrame(r io.Reader) (kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("frame of %d bytes: at most %d", size, maxFrame)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(r, content); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return kind(head[0]), content, nil
}

// frameWriter writes everything as frames of one kind.
type frameWriter struct {
	w io.Writer
	k kind
}

func (f frameWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+maxFrame)]
		if err := writeFrame(f.w, f.k, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
