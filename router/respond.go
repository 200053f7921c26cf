package router

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// responseState tracks what the client was sent: 1xx responses, then at most one final response.
type responseState struct {
	mu      sync.Mutex // held while a 1xx response is written
	sent100 bool       // 100 (Continue)
	started bool       // the final response has started
	status  int        // of the final response; 0 before
	bytes   int64      // of its body

	unknownLength bool
	chunked       bool
	closeAfter    bool // the connection closes after this response
}

// copyResponse copies the app's response to the client as it arrives.
func (x *exchange) copyResponse(a *appResponse) {
	defer a.close()
	if x.startResponse(a.responseHead); !x.bodiless(a.status) {
		buf := x.router.buffers.Get()
		defer x.router.buffers.Put(buf)
		for !a.finished {
			n, err := a.Read(buf)
			if n > 0 && x.writeBody(buf[:n]) != nil {
				x.resp.closeAfter = true
				return
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				x.abortResponse(err)
				return
			}
		}
	}
	x.finishResponse(a.body)
}

// abortResponse ends an incomplete response so that the client cannot take it for complete: with a
// reset if the end of the connection would mark the end of the body.
func (x *exchange) abortResponse(err error) {
	if x.client.flush() == nil && x.client.gone.Err() == nil && !x.hangup.halfClosed.Load() {
		x.router.throttled.warn("the app's response is incomplete", "app", x.app.name,
			"id", x.requestID, "err", err)
	}
	x.resp.closeAfter = true
	if x.client.stream != nil || x.resp.unknownLength && !x.resp.chunked {
		x.client.abort()
	}
}

// bodiless reports whether a response with that status has no body, whatever its header says.
func (x *exchange) bodiless(status int) bool {
	return x.req.method == "HEAD" || status < 200 || status == 204 || status == 304
}

// sendContinue sends 100 (Continue), once, to a client that waits for it.
func (x *exchange) sendContinue() {
	if !x.req.expectsContinue {
		return
	}
	r := &x.resp
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sent100 && !r.started {
		r.sent100 = true
		x.client.extendWriteDeadline()
		x.client.conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
}

// sendInformational forwards a 1xx response such as 103 (Early Hints), unless the client is
// HTTP/1.0.
func (x *exchange) sendInformational(in *responseHead) {
	if x.req.minor == 0 {
		return
	}
	if s := x.client.stream; s != nil {
		s.informational(x, in)
		return
	}
	r := &x.resp
	r.mu.Lock()
	defer r.mu.Unlock()
	if in.status == 100 {
		if r.sent100 {
			return
		}
		r.sent100 = true
	}
	x.client.extendWriteDeadline() // a large header is written before flush
	x.writeStatusLine(in.status, in.reason)
	x.writeFields(in, true)
	x.client.bw.WriteString("\r\n")
	x.client.flush()
}

// startResponse writes the header of the final response. It is flushed together with the start of
// the body, or before waiting for the body.
func (x *exchange) startResponse(in *responseHead) {
	r := &x.resp
	r.mu.Lock()
	r.started, r.status = true, in.status
	r.mu.Unlock()
	r.closeAfter = r.closeAfter || x.req.closeAfter || x.bodyPending()
	select {
	case <-x.router.closing:
		r.closeAfter = true
	default:
	}
	x.client.extendWriteDeadline() // a large header is written before the body arrives
	r.unknownLength = in.length < 0 && !x.bodiless(in.status)
	unsized := in.status < 200 || in.status == 204 || r.unknownLength
	if s := x.client.stream; s != nil {
		s.start(x, in, unsized)
		return
	}
	x.writeStatusLine(in.status, in.reason)
	r.chunked = r.unknownLength && x.req.minor > 0
	r.closeAfter = r.closeAfter || r.unknownLength && !r.chunked
	dated := x.writeFields(in, unsized)
	w := x.client.bw
	if !dated {
		w.WriteString("Date: ")
		w.Write(time.Now().UTC().AppendFormat(w.AvailableBuffer(), http.TimeFormat+"\r\n"))
	}
	if in.status == 101 || in.status == 426 && in.upgrade != "" {
		writeStrings(w, "Connection: Upgrade\r\nUpgrade: ", in.upgrade, "\r\n")
	}
	switch {
	case r.closeAfter && x.req.minor > 0:
		w.WriteString("Connection: close\r\n")
	case !r.closeAfter && x.req.minor == 0:
		w.WriteString("Connection: keep-alive\r\n")
	}
	if r.chunked {
		w.WriteString("Transfer-Encoding: chunked\r\n")
	}
	w.WriteString("\r\n")
}

func (x *exchange) writeStatusLine(status int, reason string) {
	version := "HTTP/1.1 "
	if x.req.minor == 0 {
		version = "HTTP/1.0 "
	}
	writeStrings(x.client.bw, version, strconv.Itoa(status), " ", reason, "\r\n")
}

// writeFields writes the fields of a response. It reports whether there was a Date: that one field
// must be added if it is missing (RFC 9110 section 6.6.1).
func (x *exchange) writeFields(in *responseHead, unsized bool) (dated bool) {
	return x.eachField(in, unsized, func(name, value string) {
		writeStrings(x.client.bw, name, ": ", value, "\r\n")
	})
}

// eachField calls write with the app's fields except hop-by-hop ones, and except Content-Length if
// unsized, and with those that the router adds. It reports whether there was a Date.
func (x *exchange) eachField(in *responseHead, unsized bool, write func(name, value string)) (dated bool) {
	sized, strict := false, false
	for _, f := range in.header {
		var buf [25]byte
		value := f.value
		switch string(lower(f.name, &buf)) {
		case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te",
			"transfer-encoding", "upgrade":
			continue
		case "trailer":
			if !x.resp.chunked {
				continue
			}
		case "content-length":
			if unsized || sized {
				continue
			}
			sized = true
		case "date":
			dated = true
		case "strict-transport-security":
			strict = true
		case "set-cookie":
			value = x.checkCookie(value)
		default:
			if in.connection.isHopByHop(f.name) {
				continue
			}
		}
		write(f.name, value)
	}
	if x.https && x.app != nil && !strict && in.status >= 200 {
		if hsts := x.app.manners.Load().hsts; hsts != "" {
			write("Strict-Transport-Security", hsts)
		}
	}
	return dated
}

// writeBody writes part of the body.
func (x *exchange) writeBody(p []byte) error {
	x.client.extendWriteDeadline()
	x.resp.bytes += int64(len(p))
	if s := x.client.stream; s != nil {
		return s.write(p)
	}
	w := x.client.bw
	if x.resp.chunked {
		w.Write(append(strconv.AppendInt(w.AvailableBuffer(), int64(len(p)), 16), "\r\n"...))
		w.Write(p)
		_, err := w.WriteString("\r\n")
		return err
	}
	_, err := w.Write(p)
	return err
}

// finishResponse ends a body, with its trailer if the client's protocol has a place for it.
func (x *exchange) finishResponse(body *bodyReader) {
	if s := x.client.stream; s != nil && body != nil {
		s.end(body.trailer)
	}
	if !x.resp.chunked {
		return
	}
	x.client.extendWriteDeadline()
	w := x.client.bw
	w.WriteString("0\r\n")
	for _, f := range body.trailer {
		if !isFraming(f.name) {
			writeStrings(w, f.name, ": ", f.value, "\r\n")
		}
	}
	w.WriteString("\r\n")
}
