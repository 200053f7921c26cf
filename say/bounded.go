package say

import (
	"bytes"
	"fmt"
	"io"
)

// Bounded lets the beginning of an output pass and keeps the end of the rest until Close: a build
// that prints 100 MB costs neither memory nor a log of that size, and its last lines, which say
// why it failed, are still read. Not for concurrent use.
type Bounded struct {
	w          io.Writer
	head, tail int64
	last       []byte // a ring of tail bytes, once head is passed
	at         int64  // bytes written to the ring, ever
	err        error
}

// NewBounded lets head bytes pass to w, and of what follows keeps the last tail bytes.
func NewBounded(w io.Writer, head, tail int64) *Bounded {
	return &Bounded{w: w, head: head, tail: tail}
}

// Write returns w's error, once there was one.
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
		b.at += over
		p = p[over:]
	}
	for len(p) > 0 {
		copied := copy(b.last[b.at%b.tail:], p)
		b.at += int64(copied)
		p = p[copied:]
	}
	return n, b.err
}

// Close says how much was left out, if anything, and writes the end of it. It does not close w.
func (b *Bounded) Close() error {
	if b.at == 0 || b.err != nil {
		return b.err
	}
	end := b.last[:min(b.at, b.tail)]
	if out := b.at - b.tail; out > 0 {
		turn := b.at % b.tail
		end = append(bytes.Clone(b.last[turn:]), b.last[:turn]...)
		if cut := bytes.IndexByte(end, '\n') + 1; cut > 0 { // begin with a whole line
			out += int64(cut)
			end = end[cut:]
		}
		if _, b.err = fmt.Fprintf(b.w, "\n%s... %s left out ...\n", indentation, size(out)); b.err != nil {
			return b.err
		}
	}
	_, b.err = b.w.Write(end)
	b.at = 0
	return b.err
}

// size is n bytes for people: "812 bytes", "97.3 MB".
func size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
