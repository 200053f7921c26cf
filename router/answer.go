package router

import (
	"io"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
)

// answer is an app's answer. Its body is read as the client takes it. Then the connection is kept if
// both the answer and the request are complete, else it is closed.
type answer struct {
	*appResponse
	c      *conn
	x      *exchange
	upload *upload // nil: the request was sent in one go

	left    int64     // bytes to come, where that is known
	chunks  io.Reader // the body, where it is chunked
	trailer head      // after its end

	finished bool
	cutOff   atomic.Bool // ended by us, not by the app

	mu       sync.Mutex // guards returned
	returned bool       // the connection may serve another request by now
}

// frame prepares for the body.
func (a *answer) frame() {
	a.upload.answered()
	if a.length == 0 {
		a.finish()
		return
	}
	if a.left = a.length; a.length == -1 {
		a.chunks = httputil.NewChunkedReader(a.c.br)
	}
	a.c.begun()
	if kind, _, _ := strings.Cut(a.head.get("Content-Type"), ";"); same(strings.TrimSpace(kind), "text/event-stream") {
		a.x.streams.Store(true)
		a.x.router.addStream(a.x, a.cut)
	}
}

// Read reads from the body. What came before is sent to the client whenever the app has nothing
// more at the moment.
func (a *answer) Read(p []byte) (n int, err error) {
	if a.finished {
		return 0, io.EOF
	}
	switch {
	case a.chunks != nil:
		if n, err = a.chunks.Read(p); err == io.EOF {
			if err = a.readTrailer(); err == nil {
				a.finish()
				err = io.EOF
			}
		}
	case a.length == untilClose:
		if n, err = a.c.br.Read(p); err == io.EOF {
			a.finish()
		}
	default:
		n, err = a.c.br.Read(p[:min(int64(len(p)), a.left)])
		if a.left -= int64(n); a.left == 0 {
			a.finish()
			err = nil
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil && err != io.EOF {
		a.fail()
		if a.cutOff.Load() {
			err = io.EOF // the client gets a proper end; its EventSource comes back
			if a.left > 0 {
				a.x.reply.last = true // else it would take the next answer for the rest of this one
			}
		}
	}
	return n, err
}

// readTrailer reads what comes after the last chunk.
func (a *answer) readTrailer() error {
	raw, err := readLines(a.c.br, a.c.raw[:0], maxAnswerBytes, false)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		a.trailer, err = parseHead(nil, string(raw), true)
	}
	return err
}

// Close is called when the client has all of the answer, or is gone.
func (a *answer) Close() error {
	if !a.finished {
		a.fail()
	}
	if a.x.streams.Load() {
		a.x.router.dropStream(a.x)
	}
	return nil
}

// finish keeps the connection for the next request, if it can be.
func (a *answer) finish() {
	a.finished = true
	a.x.unwatch() // or it could close what is the next one's by then
	a.release()
	a.mu.Lock()
	a.returned = true
	a.mu.Unlock()
	if a.last || !a.upload.complete() || a.c.br.Buffered() > 0 || a.x.s.gone.Err() != nil {
		a.c.Close()
		return
	}
	a.c.up.put(a.c)
}

// fail gives the connection up. The body is not drained: it may never end.
func (a *answer) fail() {
	a.finished = true
	a.c.Close()
	a.release()
}

// release takes the connection from the exchange, which has no more use for it.
func (a *answer) release() {
	a.x.s.app.Store(nil)
	a.c.x = nil
}

// cut ends an event stream from another goroutine.
func (a *answer) cut() {
	a.cutOff.Store(true)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.returned {
		a.c.Close()
	}
}
