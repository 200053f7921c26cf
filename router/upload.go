package router

import (
	"io"
	"net/http/httputil"
	"sync"
	"time"
)

// upload sends a request whose body is not at hand, in a goroutine of its own: the app may answer
// before it has all of it, or as it comes. The methods work on nil, the upload of requests without
// one.
type upload struct {
	c *conn
	x *exchange

	once  sync.Once
	ahead chan struct{} // closed: send the body
	ended chan struct{} // closed: run has returned

	mu      sync.Mutex
	sent    bool  // all of it
	replied bool  // the app has begun its answer
	failure error // of the client's body
}

func newUpload(c *conn, x *exchange) *upload {
	return &upload{c: c, x: x, ahead: make(chan struct{}), ended: make(chan struct{})}
}

func (u *upload) run() {
	defer close(u.ended)
	patience := u.x.router.ResponseTimeout
	u.extend(patience)
	if writeHeader(u.c.bw, u.x); u.c.bw.Flush() != nil {
		return
	}
	if u.x.in.expect {
		t := time.NewTimer(continueAfter)
		defer t.Stop()
		select {
		case <-u.ahead:
		case <-t.C:
		case <-u.x.s.gone.Done():
			return
		case <-u.x.body.gone:
			return
		}
	}
	buf := u.x.router.buffers.Get()
	defer u.x.router.buffers.Put(buf)
	var w io.Writer = u.c.bw
	var chunks io.WriteCloser
	if u.x.in.length < 0 {
		chunks = httputil.NewChunkedWriter(u.c.bw)
		w = chunks
	}
	for {
		n, err := u.x.body.Read(buf)
		if n > 0 {
			u.extend(patience) // taking one's time over a large body is not silence
			if _, werr := w.Write(buf[:n]); werr != nil {
				return // the app reads no more of it; there may be an answer
			}
			if u.c.bw.Flush() != nil {
				return
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			u.mu.Lock()
			u.failure = err
			u.mu.Unlock()
			u.c.Close() // the app must not take what it has for all
			return
		}
	}
	if chunks != nil {
		chunks.Close()
		writeTrailer(u.c.bw, u.x.body.trailer)
	}
	if u.c.bw.Flush() != nil {
		return
	}
	u.mu.Lock()
	u.sent = true
	u.mu.Unlock()
	u.x.beginWatch() // till now a client that left would have been noticed by reading
}

// extend gives the app that long to take what comes next and, where it has not, to answer.
func (u *upload) extend(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	until := time.Now().Add(d)
	u.c.SetWriteDeadline(until)
	if !u.replied {
		u.c.answerUntil(until)
		u.c.readOn(u.x)
	}
}

// answered: the deadline for reading is the answer's from here on.
func (u *upload) answered() {
	if u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.replied = true
	}
}

// goAhead: the app said 100.
func (u *upload) goAhead() {
	if u != nil {
		u.once.Do(func() { close(u.ahead) })
	}
}

// complete reports whether the whole request was sent, so that another may follow it.
func (u *upload) complete() bool {
	if u == nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent
}

// cause is the client's part in a failure, if it had one. The connection to the app is closed.
func (u *upload) cause() error {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failure
}
