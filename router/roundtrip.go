package router

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"
)

// errResponseTimeout means that the app did not respond within ResponseTimeout.
var errResponseTimeout = errors.New("the app did not respond in time")

// continueTimeout is how long a client waits for 100 (Continue) from an app that may not send it
// (RFC 9110 section 10.1.1: not indefinitely).
const continueTimeout = time.Second

// maxInformational is the number of 1xx responses that an app may send to one request.
const maxInformational = 100

// roundTrip sends x's request and reads the header of the response.
func (p *connPool) roundTrip(x *exchange) (*appResponse, error) {
	if x.app.manners.Load().http2 {
		return p.roundTripHTTP2(x)
	}
	c, err := p.get(x.client.gone, x)
	if err != nil {
		return nil, err
	}
	x.relayed = true
	a := &appResponse{c: c, x: x}
	c.startExchange(x)
	if x.req.length == 0 || x.body.buffered != nil {
		x.writeRequest(c)
	} else {
		a.upload = newUpload(c, x)
		go a.upload.run()
	}

	if err := a.readHead(); err != nil {
		a.fail()
		if _, cause := a.upload.result(); cause != nil {
			err = cause
		}
		return nil, err
	}
	if a.status == http.StatusSwitchingProtocols {
		if x.req.upgrade == "" || a.upgrade == "" || !x.req.header.contains("Upgrade", a.upgrade) {
			a.fail()
			return nil, errors.New("the app switched protocols without being asked")
		}
		return a, nil
	}
	a.prepareBody()
	return a, nil
}

// writeRequest sends a request whose whole body is in memory. It ignores write errors: there may be
// a response all the same, and reading it reports the error otherwise.
func (x *exchange) writeRequest(c *appConn) {
	var body []byte
	if x.body != nil {
		body = x.body.buffered
	}
	// Even a small request can block: an app that never reads fills its socket's buffer.
	c.extendWriteDeadline(time.Now(), x.router.ResponseTimeout)
	writeHeader(c.bw, x)
	c.bw.Write(body)
	c.bw.Flush()
}

// readHead reads up to the header of the final response or of a 101. It forwards other 1xx
// responses.
func (r *appResponse) readHead() error {
	if _, err := r.c.br.Peek(1); err != nil {
		switch {
		case isTimeout(err):
			return errResponseTimeout
		case r.c.reused && (err == io.EOF || errors.Is(err, syscall.ECONNRESET) ||
			errors.Is(err, syscall.EPIPE)):
			return errStale
		}
		return fmt.Errorf("the app closed the connection without a response: %w", err)
	}
	for range maxInformational {
		resp, raw, err := readResponse(r.c.br, r.c.raw, r.x.client.responseFields, r.x.req.method)
		if r.c.raw = raw; cap(raw) > 8<<10 {
			r.c.raw = nil
		}
		switch {
		case isTimeout(err):
			return errResponseTimeout
		case err != nil:
			return err
		case resp.status >= 200 || resp.status == http.StatusSwitchingProtocols:
			r.responseHead = resp
			return nil
		}
		r.x.sendInformational(resp)
		if resp.status == http.StatusContinue {
			r.upload.gotContinue() // after forwarding it, or the body's reader would send another
		}
	}
	return errors.New("too many 1xx responses")
}
