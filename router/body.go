package router

import (
	"errors"
	"fmt"
	"io"
	"net/http"
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

// clientBody is a request's body, read no slower than StallTimeout allows, by one goroutine that
// may outlive the wish for it: after end, net/http wants the connection back, and a Read still
// under way would take bytes that are no longer its own.
type clientBody struct {
	src      io.ReadCloser
	ctl      *http.ResponseController
	stall    time.Duration
	buffered []byte // the whole of a small one, not nil where it was prefetched

	eof  atomic.Bool
	gone chan struct{} // closed by end

	dl     sync.Mutex // guards over and the deadline that goes with it
	over   bool
	inRead sync.Mutex
}

// prefetch reads the whole body into buf, which is as long as it.
func (b *clientBody) prefetch(buf []byte) error {
	for n := 0; n < len(buf); {
		m, err := b.Read(buf[n:])
		if n += m; err != nil && n < len(buf) {
			if err == io.EOF {
				err = fmt.Errorf("%w: %w", errBadBody, io.ErrUnexpectedEOF)
			}
			return err
		}
	}
	b.eof.Store(true)
	b.buffered = buf
	return nil
}

// Read returns io.EOF, errSlowClient, errBadBody or errBodyEnded.
func (b *clientBody) Read(p []byte) (int, error) {
	b.inRead.Lock()
	defer b.inRead.Unlock()
	b.dl.Lock()
	if b.over {
		b.dl.Unlock()
		return 0, errBodyEnded
	}
	b.ctl.SetReadDeadline(time.Now().Add(b.stall))
	b.dl.Unlock()
	n, err := b.src.Read(p)
	switch {
	case err == io.EOF:
		b.eof.Store(true)
	case err == nil:
	case b.isOver():
		err = errBodyEnded
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errSlowClient
	default:
		err = fmt.Errorf("%w: %w", errBadBody, err)
	}
	return n, err
}

func (b *clientBody) isOver() bool {
	b.dl.Lock()
	defer b.dl.Unlock()
	return b.over
}

// Close is nobody's to call but net/http's, which has src.
func (b *clientBody) Close() error { return nil }

// ended reports whether the client has sent all of it.
func (b *clientBody) ended() bool { return b.eof.Load() }

// end returns when nobody reads any more and nobody will.
func (b *clientBody) end() {
	if b.eof.Load() {
		return
	}
	close(b.gone)
	b.dl.Lock()
	b.over = true
	b.ctl.SetReadDeadline(time.Unix(1, 0))
	b.dl.Unlock()
	b.inRead.Lock()
	defer b.inRead.Unlock()
	if !b.eof.Load() {
		b.ctl.SetReadDeadline(time.Now().Add(swallow)) // net/http reads on for a while
	}
}
