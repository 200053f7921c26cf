package router

import (
	"io"
	"net/http/httputil"
	"sync"
	"time"
)

// upload sends a request with a body in a goroutine of its own, because the app may respond before
// it has read the body. Its methods may be called on nil, which stands for a request that was sent
// in one go.
type upload struct {
	c *appConn
	x *exchange

	once    sync.Once
	proceed chan struct{} // closed when the body may be sent

	mu          sync.Mutex
	sent        bool  // the whole request was sent
	gotResponse bool  // the app has started its response
	bodyErr     error // error of the client's body
}

func newUpload(c *appConn, x *exchange) *upload {
	return &upload{c: c, x: x, proceed: make(chan struct{})}
}

func (u *upload) run() {
	timeout := u.x.router.ResponseTimeout
	u.extendDeadline(timeout)
	if writeHeader(u.c.bw, u.x); u.c.bw.Flush() != nil {
		return
	}
	if u.x.req.expectsContinue {
		t := time.NewTimer(continueTimeout)
		defer t.Stop()
		select {
		case <-u.proceed:
		case <-t.C:
		case <-u.x.client.gone.Done():
			return
		case <-u.x.body.stopC:
			return
		}
	}
	buf := u.x.router.buffers.Get()
	defer u.x.router.buffers.Put(buf)
	var w io.Writer = u.c.bw
	var chunks io.WriteCloser
	if u.x.req.length < 0 {
		chunks = httputil.NewChunkedWriter(u.c.bw)
		w = chunks
	}
	for {
		n, err := u.x.body.Read(buf)
		if n > 0 {
			u.extendDeadline(timeout) // a large body that keeps moving is not a timeout
			if _, werr := w.Write(buf[:n]); werr != nil {
				return // the app has stopped reading; it may still respond
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
			u.bodyErr = err
			u.mu.Unlock()
			u.c.Close() // the app must not take a partial body for a complete one
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
	u.x.watchForHangup() // until now, reading the body would have shown that the client left
}

// extendDeadline allows d for the app to read what is sent next and, if it has not, to respond.
func (u *upload) extendDeadline(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	u.c.extendWriteDeadline(now, d)
	if !u.gotResponse {
		u.c.setResponseDeadline(now.Add(d))
		u.c.updateReadDeadline(u.x)
	}
}

// responseStarted leaves the read deadline to the response.
func (u *upload) responseStarted() {
	if u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.gotResponse = true
	}
}

// gotContinue records that the app sent 100 (Continue).
func (u *upload) gotContinue() {
	if u != nil {
		u.once.Do(func() { close(u.proceed) })
	}
}

// result reports whether the whole request was sent, so that the connection can be reused, and the
// error of the client's body.
func (u *upload) result() (sent bool, err error) {
	if u == nil {
		return true, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent, u.bodyErr
}
