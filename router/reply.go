package router

import (
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// reply is what the client gets: at most one answer, and what comes before it.
type reply struct {
	mu        sync.Mutex // held while something is written before the answer
	continued bool       // the client was told to go on with its body
	begun     bool       // the answer itself is under way

	unsized bool // nothing says beforehand how long it is
	chunked bool
	last    bool // the connection ends with this answer
}

// pass gives the client the app's answer as it comes.
func (x *exchange) pass(a *answer) {
	defer a.Close()
	if x.begin(a.appResponse); !x.bodiless(a.status) {
		buf := x.router.buffers.Get()
		defer x.router.buffers.Put(buf)
		for !a.finished {
			n, err := a.Read(buf)
			if n > 0 && x.write(buf[:n]) != nil {
				x.reply.last = true
				return
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				x.breakOff(err)
				return
			}
		}
	}
	x.end(a.trailer)
}

// breakOff ends an answer that is not whole, so that the client does not take it for all: where
// the end of the connection would be the end of the answer, by a reset.
func (x *exchange) breakOff(err error) {
	if x.s.flush() == nil && x.s.gone.Err() == nil && !x.watch.half.Load() {
		x.router.quiet.warn("the app broke its answer off", "app", x.app.name, "id", x.id, "err", err)
	}
	x.reply.last = true
	if x.reply.unsized && !x.reply.chunked {
		x.s.abort()
	}
}

// bodiless reports whether an answer with that status has none, whatever its header says.
func (x *exchange) bodiless(status int) bool {
	return x.in.method == "HEAD" || status < 200 || status == 204 || status == 304
}

// goOn sends 100 (Continue) to a client that waits for it, once.
func (x *exchange) goOn() {
	if !x.in.expect {
		return
	}
	r := &x.reply
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.continued && !r.begun {
		r.continued = true
		x.s.writeSoon()
		x.s.conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
}

// hint passes on an answer before the answer, such as 103 (Early Hints). HTTP/1.0 has none.
func (x *exchange) hint(in *appResponse) {
	if x.in.minor == 0 {
		return
	}
	r := &x.reply
	r.mu.Lock()
	defer r.mu.Unlock()
	if in.status == 100 {
		if r.continued {
			return
		}
		r.continued = true
	}
	x.s.writeSoon() // a large header is sent before flush
	x.statusLine(in.status, in.reason)
	x.fields(in, true)
	x.s.bw.WriteString("\r\n")
	x.s.flush()
}

// begin writes the header of the answer. It is sent with the first of the body, or when the body
// lets one wait.
func (x *exchange) begin(in *appResponse) {
	r := &x.reply
	r.mu.Lock()
	r.begun = true
	r.mu.Unlock()
	r.last = r.last || x.in.last || x.unread()
	select {
	case <-x.router.stopping:
		r.last = true
	default:
	}
	x.s.writeSoon() // a large header does not wait for the body
	x.statusLine(in.status, in.reason)
	r.unsized = in.length < 0 && !x.bodiless(in.status)
	r.chunked = r.unsized && x.in.minor > 0
	r.last = r.last || r.unsized && !r.chunked
	dated := x.fields(in, in.status < 200 || in.status == 204 || r.unsized)
	w := x.s.bw
	if !dated {
		put(w, "Date: ", date(), "\r\n")
	}
	if in.status == 101 || in.status == 426 && in.upgrade != "" {
		put(w, "Connection: Upgrade\r\nUpgrade: ", in.upgrade, "\r\n")
	}
	switch {
	case r.last && x.in.minor > 0:
		w.WriteString("Connection: close\r\n")
	case !r.last && x.in.minor == 0:
		w.WriteString("Connection: keep-alive\r\n")
	}
	if r.chunked {
		w.WriteString("Transfer-Encoding: chunked\r\n")
	}
	w.WriteString("\r\n")
}

func (x *exchange) statusLine(status int, reason string) {
	version := "HTTP/1.1 "
	if x.in.minor == 0 {
		version = "HTTP/1.0 "
	}
	put(x.s.bw, version, strconv.Itoa(status), " ", reason, "\r\n")
}

// fields writes what the app said, but for what it said to us alone, and its length where unsized.
// It reports whether there was a Date: we owe the client one (RFC 9110 section 6.6.1), and nothing
// else that the app left out.
func (x *exchange) fields(in *appResponse, unsized bool) (dated bool) {
	sized := false
	for _, f := range in.head {
		var buf [20]byte
		switch string(lowered(f.name, &buf)) {
		case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "transfer-encoding", "upgrade":
			continue
		case "trailer":
			if !x.reply.chunked {
				continue
			}
		case "content-length":
			if unsized || sized {
				continue
			}
			sized = true
		case "date":
			dated = true
		default:
			if in.hop.drops(f.name) {
				continue
			}
		}
		put(x.s.bw, f.name, ": ", f.value, "\r\n")
	}
	return dated
}

// write sends a part of the body.
func (x *exchange) write(p []byte) error {
	w := x.s.bw
	x.s.writeSoon()
	if x.reply.chunked {
		w.Write(append(strconv.AppendInt(w.AvailableBuffer(), int64(len(p)), 16), "\r\n"...))
		w.Write(p)
		_, err := w.WriteString("\r\n")
		return err
	}
	_, err := w.Write(p)
	return err
}

// end completes the answer.
func (x *exchange) end(trailer head) {
	if !x.reply.chunked {
		return
	}
	x.s.writeSoon()
	w := x.s.bw
	w.WriteString("0\r\n")
	for _, f := range trailer {
		if !isFraming(f.name) {
			put(w, f.name, ": ", f.value, "\r\n")
		}
	}
	w.WriteString("\r\n")
}

// date is now as a header writes it (RFC 9110 section 5.6.7), made once a second.
func date() string {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dateText{now.Unix(), now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	lastDate.Store(d)
	return d.text
}

type dateText struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[dateText]
