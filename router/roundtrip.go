package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"syscall"
	"time"
)

// errSlowApp: ResponseTimeout is over.
var errSlowApp = errors.New("the app did not begin its answer in time")

// continueAfter is how long a client that asked for 100 (Continue) is made to wait for an app that
// does not know it (RFC 9110 section 10.1.1: not indefinitely).
const continueAfter = time.Second

// roundTrip sends one request and reads the header of its answer, the body being read as the
// caller reads it. The connection closes when ctx ends.
func (u *upstream) roundTrip(out *http.Request, x *exchange) (*http.Response, error) {
	ctx := out.Context()
	once := x.in.ContentLength != 0 || !idempotent(out.Method) || x.retried
	c, err := u.get(ctx, x, once)
	if err != nil {
		return nil, err
	}
	a := &answer{c: c, x: x}
	a.stop = context.AfterFunc(ctx, func() { c.Close() })

	c.limit = maxAnswerBytes
	c.SetDeadline(time.Now().Add(x.router.ResponseTimeout))
	if x.in.ContentLength == 0 || x.body.buffered != nil {
		// A write error is the reader's to find: there may be an answer all the same.
		if writeHeader(c.bw, out, x.in) == nil {
			c.bw.Write(x.body.buffered)
			c.bw.Flush()
		}
	} else {
		a.upload = newUpload(c, out, x)
		go a.upload.run()
	}

	resp, err := a.header(out)
	if err != nil {
		a.fail()
		if cause := a.upload.cause(); cause != nil {
			err = cause
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if x.in.Header["Upgrade"] == nil {
			a.fail()
			return nil, errors.New("the app switched protocols unasked")
		}
		a.stop() // ReverseProxy watches ctx from here on
		x.tunnel = newTunnel(c)
		resp.Body = x.tunnel
		return resp, nil
	}
	a.done = resp.Close
	c.limit = unlimited
	if resp.Body == http.NoBody {
		a.finish()
		return resp, nil
	}
	a.upload.answered()
	if resp.ContentLength < 0 || resp.ContentLength > int64(c.br.Buffered()) {
		c.SetReadDeadline(time.Time{})
	}
	a.body, resp.Body = resp.Body, a
	return resp, nil
}

// header reads answers up to the final one, 101 included. Others below 200 are passed on at once.
func (a *answer) header(out *http.Request) (*http.Response, error) {
	if _, err := a.c.br.Peek(1); err != nil {
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSlowApp
		case a.c.reused && (err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)):
			return nil, errStale
		}
		return nil, fmt.Errorf("the app closed the connection without an answer: %w", err)
	}
	for {
		resp, err := http.ReadResponse(a.c.br, out)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSlowApp
		case a.c.limit <= 0:
			return nil, errTooLong
		case err != nil:
			return nil, fmt.Errorf("answer: %w", err)
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil
		}
		if t := httptrace.ContextClientTrace(out.Context()); t != nil && t.Got1xxResponse != nil {
			if err := t.Got1xxResponse(resp.StatusCode, textproto.MIMEHeader(resp.Header)); err != nil {
				return nil, err
			}
		}
		if resp.StatusCode == http.StatusContinue {
			a.upload.goAhead() // after it was passed on, or net/http says it as well
		}
	}
}
