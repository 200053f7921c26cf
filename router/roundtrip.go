package router

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"
)

// errSlowApp: ResponseTimeout is over.
var errSlowApp = errors.New("the app did not begin its answer in time")

// continueAfter is how long a client that asked for 100 (Continue) is made to wait for an app that
// does not know it (RFC 9110 section 10.1.1: not indefinitely).
const continueAfter = time.Second

// maxHints is how many answers below 200 an app may send before the answer.
const maxHints = 100

// roundTrip sends x's request and reads the header of its answer, the body being read as the
// caller reads it.
func (u *upstream) roundTrip(x *exchange) (*answer, error) {
	c, err := u.get(x.s.gone, x)
	if err != nil {
		return nil, err
	}
	a := &answer{c: c, x: x}
	c.serveFor(x)
	if x.in.length == 0 || x.body.buffered != nil {
		x.send(c)
	} else {
		a.upload = newUpload(c, x)
		go a.upload.run()
	}

	if err := a.header(); err != nil {
		a.fail()
		if cause := a.upload.cause(); cause != nil {
			err = cause
		}
		return nil, err
	}
	if a.status == http.StatusSwitchingProtocols {
		if x.in.upgrade == "" || a.upgrade == "" || !x.in.head.lists("Upgrade", a.upgrade) {
			a.fail()
			return nil, errors.New("the app switched protocols unasked")
		}
		return a, nil
	}
	a.frame()
	return a, nil
}

// send sends a request whose body is at hand. A write error is the reader's to find: there may be
// an answer all the same.
func (x *exchange) send(c *conn) {
	var body []byte
	if x.body != nil {
		body = x.body.buffered
	}
	// Small requests need it as well: an app that answers without reading fills the socket's buffer.
	c.SetWriteDeadline(time.Now().Add(x.router.ResponseTimeout))
	writeHeader(c.bw, x)
	c.bw.Write(body)
	c.bw.Flush()
}

// header reads answers up to the final one, 101 included. Others below 200 are passed on at once.
func (a *answer) header() error {
	if _, err := a.c.br.Peek(1); err != nil {
		switch {
		case isTimeout(err):
			return errSlowApp
		case a.c.reused && (err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)):
			return errStale
		}
		return fmt.Errorf("the app closed the connection without an answer: %w", err)
	}
	for range maxHints {
		resp, raw, err := readResponse(a.c.br, a.c.raw, a.x.in.method)
		if a.c.raw = raw; cap(raw) > 8<<10 {
			a.c.raw = nil
		}
		switch {
		case isTimeout(err):
			return errSlowApp
		case err != nil:
			return err
		case resp.status >= 200 || resp.status == http.StatusSwitchingProtocols:
			a.appResponse = resp
			return nil
		}
		a.x.hint(resp)
		if resp.status == http.StatusContinue {
			a.upload.goAhead() // after it was passed on, or the body's reader says it as well
		}
	}
	return errors.New("too many answers below 200")
}
