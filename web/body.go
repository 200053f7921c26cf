package web

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// input is the body of a request, decompressed. Read is safe for concurrent use. It has no other
// way to read, which io.Copy would prefer.
type input struct {
	body *bufio.Reader
	mu   sync.Mutex
}

// newInput returns the body of r. It gives no more than limit bytes of a compressed one: a few
// kilobytes can become gigabytes.
func newInput(r *http.Request, limit int64) *input {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		body = io.LimitReader(&unzipped{body: r.Body}, limit)
	}
	return &input{body: bufio.NewReaderSize(body, maxPacket)}
}

func (in *input) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.body.Read(p)
}

// unzipped decompresses body. The header is read by the first Read, not before.
type unzipped struct {
	body io.Reader
	gz   *gzip.Reader
}

func (u *unzipped) Read(p []byte) (n int, err error) {
	if u.gz == nil {
		if u.gz, err = gzip.NewReader(u.body); err != nil {
			return 0, err
		}
	}
	return u.gz.Read(p)
}

// answer is the response to git. It begins with the first Write, so before that, another status can
// be chosen. Each Write reaches the client at once. Write is safe for concurrent use.
type answer struct {
	to      http.ResponseWriter
	control *http.ResponseController
	status  int
	kind    string // content type
	start   string // what comes before what is written

	begun  atomic.Bool
	mu     sync.Mutex
	closed bool
}

func (a *answer) Write(p []byte) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return 0, io.ErrClosedPipe
	}
	if !a.begun.Swap(true) {
		a.to.Header().Set("Content-Type", a.kind)
		a.to.Header().Set("X-Accel-Buffering", "no") // nginx in front passes on each write at once
		a.to.WriteHeader(a.status)
		if _, err := io.WriteString(a.to, a.start); err != nil {
			return 0, err
		}
	}
	if n, err = a.to.Write(p); err == nil {
		err = a.control.Flush()
	}
	return n, err
}

// close ends a Write that the client blocks. Later ones fail.
func (a *answer) close() {
	if !a.mu.TryLock() {
		a.control.SetWriteDeadline(time.Unix(1, 0))
		a.mu.Lock()
	}
	a.closed = true
	a.mu.Unlock()
}
