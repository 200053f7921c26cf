package say

import (
	"bytes"
	"fmt"
	"io"
)

// Bounded shortens a long output: it passes on the beginning and, at Close, the end. A build that
// prints 100 MB then takes neither that much memory nor that much log, and its last lines, which
// say why it failed, are kept. Not safe for concurrent use.
type Bounded struct {
	w          io.Writer
	head, tail int64  // bytes
	last       []byte // ring buffer of tail bytes, allocated once head is used up
	written    int64  // bytes written to the ring so far
	err        error
}

// NewBounded returns a Bounded that passes the first head bytes on to w and keeps the last tail
// bytes of what follows.
func NewBounded(w io.Writer, head, tail int64) *Bounded {
	return &Bounded{w: w, head: head, tail: tail}
}

// Write returns the first error of w, now and from then on.
func (b *Bounded) Write(p []byte) (int, error) {
	n := len(p)
	if pass := min(b.head, int64(n)); pass > 0 {
		if b.head -= pass; b.err == nil {
			_, b.err = b.w.Write(p[:pass])
		}
		p = p[pass:]
	}
	if len(p) > 0 && b.last == nil {
		b.last = make([]byte, b.tail)
	}
	if over := int64(len(p)) - b.tail; over > 0 {
		b.written += over
		p = p[over:]
	}
	for len(p) > 0 {
		copied := copy(b.last[b.written%b.tail:], p)
		b.written += int64(copied)
		p = p[copied:]
	}
	return n, b.err
}

// Close writes how much was left out, if anything, and then the end. It does not close w.
func (b *Bounded) Close() error {
	if b.written == 0 || b.err != nil {
		return b.err
	}
	end := b.last[:min(b.written, b.tail)]
	if omitted := b.written - b.tail; omitted > 0 {
		start := b.written % b.tail
		end = append(bytes.Clone(b.last[start:]), b.last[:start]...)
		if cut := bytes.IndexByte(end, '\n') + 1; cut > 0 { // begin with a whole line
			omitted += int64(cut)
			end = end[cut:]
		}
		_, b.err = fmt.Fprintf(b.w, "\n%s... %s left out ...\n", DetailPrefix, Bytes(omitted))
		if b.err != nil {
			return b.err
		}
	}
	_, b.err = b.w.Write(end)
	b.written = 0
	return b.err
}
