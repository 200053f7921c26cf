package router

import (
	"io"
	"sync/atomic"
	"time"
)

// answer is the body of an app's answer, and what becomes of its connection: kept where both the
// answer and the request are complete, else closed.
type answer struct {
	c      *conn
	x      *exchange
	body   io.ReadCloser // net/http's, which knows about lengths, chunks and trailers
	upload *upload       // nil: the request was sent in one go
	stop   func() bool   // ends the watch on ctx

	done     bool // the app closes the connection after this answer
	finished bool
	reads    int
	stream   bool        // an event stream
	cutOff   atomic.Bool // ended by us, not by the app
}

func (a *answer) Read(p []byte) (int, error) {
	if a.finished {
		return 0, io.EOF
	}
	n, err := a.body.Read(p)
	switch {
	case err == io.EOF:
		a.finish()
	case err != nil:
		a.fail()
		if a.cutOff.Load() {
			err = io.EOF // the client gets a proper end; its EventSource comes back
		}
	}
	if a.reads++; n > 0 && (a.reads > 1 || a.stream) {
		// What is read here is written to the client next. The first read fits into the
		// socket's buffer, so that small answers need no deadline. net/http takes it off again.
		a.x.ctl.SetWriteDeadline(time.Now().Add(a.x.router.StallTimeout))
	}
	return n, err
}

// Close is called when the client has all of the answer, or is gone.
func (a *answer) Close() error {
	if !a.finished {
		a.fail()
	}
	if a.stream {
		a.x.router.dropStream(a.x)
	}
	return nil
}

// finish keeps the connection for the next request, if it can be.
func (a *answer) finish() {
	a.finished = true
	if a.done || !a.upload.complete() || a.c.br.Buffered() > 0 || !a.stop() {
		a.fail()
		return
	}
	a.c.up.put(a.c)
}

// fail gives the connection up. The body is not drained: it may never end.
func (a *answer) fail() {
	a.finished = true
	a.stop()
	a.c.Close()
}

// cut ends an event stream from outside.
func (a *answer) cut() {
	a.cutOff.Store(true)
	a.c.Close()
}
