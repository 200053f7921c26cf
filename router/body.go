package router

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errBodyTimeout  = errors.New("the request's body did not arrive in time")
	errBadBody      = errors.New("the request's body is incomplete or malformed")
	errBodyUnwanted = errors.New("the rest of the body is not needed")
)

// lingerTimeout is how long a client may go on sending after its response, so that it can read it
// before the connection closes (RFC 9112 section 9.6).
const lingerTimeout = time.Second

// clientBody is a request's body. Each Read may take StallTimeout. A goroutine may still be reading
// when the response is complete; stop ends it before it consumes bytes of the next request.
type clientBody struct {
	*bodyReader
	x        *exchange
	buffered []byte // the whole body if it was prefetched, else nil
	read     int64  // bytes

	eof   atomic.Bool
	stopC chan struct{} // closed by stop

	deadlineMu sync.Mutex // guards stopped and the read deadline that goes with it
	stopped    bool
	readMu     sync.Mutex
}

func newClientBody(x *exchange) *clientBody {
	b := &clientBody{x: x, stopC: make(chan struct{})}
	if s := x.client.stream; s != nil {
		b.bodyReader = &bodyReader{length: x.req.length, stream: s.req.Body, streamTrailer: &s.req.Trailer}
	} else {
		b.bodyReader = newBodyReader(x.client.br, x.req.length, maxHeaderBytes, false)
	}
	return b
}

// prefetch reads the whole body into buf, whose length is the body's.
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

// Read returns io.EOF, errBodyTimeout, errBadBody, errTooLarge or errBodyUnwanted.
func (b *clientBody) Read(p []byte) (int, error) {
	b.readMu.Lock()
	defer b.readMu.Unlock()
	s := b.x.client
	b.deadlineMu.Lock()
	if b.stopped {
		b.deadlineMu.Unlock()
		return 0, errBodyUnwanted
	}
	if s.stream != nil {
		s.stream.extendReadDeadline(b.x.router.StallTimeout)
	} else if b.chunks != nil || s.br.Buffered() == 0 {
		s.conn.SetReadDeadline(time.Now().Add(b.x.router.StallTimeout))
		s.forgetReadTimeout()
	}
	b.deadlineMu.Unlock()
	b.x.sendContinue()
	n, err := b.bodyReader.Read(p)
	b.read += int64(n)
	switch {
	case b.x.maxBody > 0 && b.read > b.x.maxBody:
		return 0, errTooLarge
	case err == io.EOF:
		b.eof.Store(true)
	case err == nil:
	case b.isStopped():
		err = errBodyUnwanted
	case isTimeout(err):
		err = errBodyTimeout
	default:
		err = fmt.Errorf("%w: %w", errBadBody, err)
	}
	return n, err
}

func (b *clientBody) isStopped() bool {
	b.deadlineMu.Lock()
	defer b.deadlineMu.Unlock()
	return b.stopped
}

// complete reports whether the client has sent the whole body.
func (b *clientBody) complete() bool { return b.eof.Load() }

// stop ends the goroutine that reads the body and waits for it.
func (b *clientBody) stop() {
	if b.eof.Load() {
		return
	}
	close(b.stopC)
	b.deadlineMu.Lock()
	b.stopped = true
	if s := b.x.client.stream; s != nil {
		s.req.Body.Close()
	} else {
		b.x.client.conn.SetReadDeadline(aLongTimeAgo)
	}
	b.deadlineMu.Unlock()
	b.readMu.Lock()
	defer b.readMu.Unlock()
	b.x.client.forgetReadTimeout()
}

// bodyPending reports whether part of the client's body has not been read.
func (x *exchange) bodyPending() bool {
	return x.req.length != 0 && (x.body == nil || !x.body.complete())
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
