package router

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
)

// appResponse is an app's response. When both it and the request are complete, its connection
// becomes idle; otherwise the connection is closed.
type appResponse struct {
	*responseHead
	c      *appConn
	x      *exchange
	upload *upload   // nil if the request was sent in one go
	http2  *http2App // nil: the app speaks HTTP/1, and c is the connection

	body *bodyReader

	finished bool
	cut      atomic.Bool // we ended it, not the app

	mu       sync.Mutex // guards released
	released bool       // the connection may serve another request by now
}

// prepareBody gets ready to read the body.
func (r *appResponse) prepareBody() {
	r.upload.responseStarted()
	if r.length == 0 {
		r.finish()
		return
	}
	if r.http2 != nil {
		resp := r.http2.resp
		r.body = &bodyReader{length: -1, stream: bodyOfApp{r}, streamTrailer: &resp.Trailer}
	} else {
		r.body = newBodyReader(r.c.br, r.length, maxResponseHeaderBytes, true)
		r.c.responseStarted()
	}
	kind, _, _ := strings.Cut(r.header.get("Content-Type"), ";")
	switch kind = strings.TrimSpace(kind); {
	case equalFold(kind, "text/event-stream"):
		r.x.isEventStream.Store(true)
		r.x.leavesAtEOF.Store(true)
		r.x.router.addStream(r.x, r.cutStream)
	case equalFold(kind, "application/x-git-receive-pack-result"): // Ctrl-C cancels a push
		r.x.leavesAtEOF.Store(true)
	}
}

// Read reads from the body. While the app sends nothing, it flushes what was written to the client.
func (r *appResponse) Read(p []byte) (n int, err error) {
	if r.finished {
		return 0, io.EOF
	}
	n, err = r.body.Read(p)
	if err == io.EOF {
		r.finish()
	} else if err != nil {
		r.fail()
		if r.cut.Load() {
			err = io.EOF // give the client a proper end: its EventSource reconnects
			if r.body.length > 0 {
				r.x.resp.closeAfter = true // else the client waits for the rest of the body
			}
		}
	}
	return n, err
}

// close must be called once the response has been copied or the client has left.
func (r *appResponse) close() {
	if !r.finished {
		r.fail()
	}
	if r.x.isEventStream.Load() {
		r.x.router.dropStream(r.x)
	}
}

// finish returns the connection to the pool if it can be reused.
func (r *appResponse) finish() {
	r.finished = true
	// the watch could otherwise close a connection that already serves another request
	r.x.stopWatching()
	if r.http2 != nil {
		r.http2.close()
		return
	}
	r.detach()
	r.mu.Lock()
	r.released = true
	r.mu.Unlock()
	sent, _ := r.upload.result()
	if !sent || r.closeAfter || r.c.br.Buffered() > 0 || r.x.client.gone.Err() != nil {
		r.c.Close()
		return
	}
	r.c.pool.put(r.c)
}

// fail closes the connection. It does not drain the body, which may be endless.
func (r *appResponse) fail() {
	r.finished = true
	if r.http2 != nil {
		r.http2.close()
		return
	}
	r.c.Close()
	r.detach()
}

// detach separates the connection from the exchange.
func (r *appResponse) detach() {
	r.x.client.app.Store(nil)
	r.c.x = nil
}

// cutStream ends an event stream. Safe for concurrent use.
func (r *appResponse) cutStream() {
	r.cut.Store(true)
	if r.http2 != nil {
		r.http2.cancel(nil)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.released {
		r.c.Close()
	}
}
