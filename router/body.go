package router

import (
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errSlowClient = errors.New("the request's body stalled")
	errBadBody    = errors.New("the request's body broke off")
	errBodyEnded  = errors.New("nobody wants the rest of the body")
)

// swallow is how long an answered client may go on sending, so that it sees the answer before
// the connection closes (RFC 9112 section 9.6).
const swallow = time.Second

// clientBody is a request's body. Each Read may take StallTimeout. The goroutine that reads it may
// still do so when the answer is complete: end stops it, so that it takes nothing of the next
// request.
type clientBody struct {
	x        *exchange
	left     int64     // bytes to come, where that is known
	chunks   io.Reader // the body, where it is chunked
	trailer  head      // after its end
	buffered []byte    // the whole of a small one, not nil where it was prefetched

	eof  atomic.Bool
	gone chan struct{} // closed by end

	dl     sync.Mutex // guards over and the deadline that goes with it
	over   bool
	inRead sync.Mutex
}

func newClientBody(x *exchange) *clientBody {
	b := &clientBody{x: x, left: x.in.length, gone: make(chan struct{})}
	if x.in.length < 0 {
		b.chunks = httputil.NewChunkedReader(x.s.br)
	}
	return b
}

// prefetch reads the whole body into buf, which is as long as it.
func (b *clientBody) prefetch(buf []byte) error {
	for n := 0; n < len(buf); {
		m, err := b.Read(buf[n:])
		if n += m; err != nil && n < len(buf) {
			return err
		}
	}
	b.buffered = buf
	return nil
}

// Read returns io.EOF, errSlowClient, errBadBody or errBodyEnded.
func (b *clientBody) Read(p []byte) (int, error) {
	b.inRead.Lock()
	defer b.inRead.Unlock()
	s := b.x.s
	b.dl.Lock()
	if b.over {
		b.dl.Unlock()
		return 0, errBodyEnded
	}
	if b.chunks != nil || s.br.Buffered() == 0 {
		s.conn.SetReadDeadline(time.Now().Add(b.x.router.StallTimeout))
		s.readUnset()
	}
	b.dl.Unlock()
	b.x.goOn()
	n, err := b.read(p)
	switch {
	case err == io.EOF:
		b.eof.Store(true)
	case err == nil:
	case b.isOver():
		err = errBodyEnded
	case isTimeout(err):
		err = errSlowClient
	default:
		err = fmt.Errorf("%w: %w", errBadBody, err)
	}
	return n, err
}

func (b *clientBody) read(p []byte) (n int, err error) {
	br := b.x.s.br
	if b.chunks != nil {
		if n, err = b.chunks.Read(p); err == io.EOF {
			if err = b.readTrailer(); err == nil {
				err = io.EOF
			}
		}
		return n, err
	}
	n, err = br.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readTrailer reads what comes after the last chunk.
func (b *clientBody) readTrailer() error {
	raw, err := readLines(b.x.s.br, nil, maxHeaderBytes, false)
	switch {
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	b.trailer, err = parseHead(nil, string(raw), false)
	return err
}

func (b *clientBody) isOver() bool {
	b.dl.Lock()
	defer b.dl.Unlock()
	return b.over
}

// ended reports whether the client has sent all of it.
func (b *clientBody) ended() bool { return b.eof.Load() }

// end stops the goroutine that reads, and returns when it has stopped.
func (b *clientBody) end() {
	if b.eof.Load() {
		return
	}
	close(b.gone)
	b.dl.Lock()
	b.over = true
	b.x.s.conn.SetReadDeadline(longAgo)
	b.dl.Unlock()
	b.inRead.Lock()
	defer b.inRead.Unlock()
	b.x.s.readUnset()
}

// unread reports whether the client has yet to send some of its body.
func (x *exchange) unread() bool {
	return x.in.length != 0 && (x.body == nil || !x.body.ended())
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
