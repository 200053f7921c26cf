package router

import (
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// AppLog is where an app's lines go. The router calls its methods one at a time. They may block.
type AppLog interface {
	// Requests gets whole lines, one for each request that has ended: "method=GET path=/ status=200
	// bytes=6 time=1.204ms wait=0ms from=192.0.2.1 host=blog.example.com id=5f1c".
	Requests(lines []byte)
	Note(text string) // something to say to the app's owner
	Close()
}

// Lines of requests are written many at once: when there are enough, or logDelay after the first.
// If they cannot be written as fast as they come, the rest is dropped, for a log must not stop an
// app.
const (
	logDelay    = 100 * time.Millisecond
	logBatch    = 32 << 10 // bytes
	maxLogged   = 1 << 20  // bytes that wait
	maxLogValue = 1 << 10  // bytes of a path, a method or a user
)

// requestLog collects the lines of an app. Its methods may be called on nil, which logs nothing.
type requestLog struct {
	to  AppLog
	own bool   // only the router's own answers
	by  string // ends each line

	mu      sync.Mutex
	lines   []byte
	spare   []byte // a buffer for lines
	dropped int
	timer   *time.Timer
	waiting bool // for the timer
	writing bool // a goroutine writes lines
	closed  bool

	writeMu sync.Mutex // held while to is used
}

func newRequestLog(to AppLog, ownAs string) *requestLog {
	if to == nil {
		return nil
	}
	l := &requestLog{to: to, own: ownAs != "", by: "\n"}
	if l.own {
		l.by = " by=" + ownAs + "\n"
	}
	l.timer = time.AfterFunc(logDelay, l.onTimer)
	l.timer.Stop()
	return l
}

// add adds the line of x, which has ended.
func (l *requestLog) add(x *exchange) {
	if l == nil || x.relayed && l.own {
		return
	}
	took := monotonic() - x.began
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasRoom() {
		l.lines = append(x.appendLine(l.lines, took), l.by...)
		l.soon()
	}
}

// Logged adds whole lines to the log of an app, which a router in front of this one has for its own
// answers (LogOwnAs). It does not block. Lines of an unknown app are dropped.
func (r *Router) Logged(app string, lines []byte) {
	r.init()
	r.mu.Lock()
	a := r.apps[app]
	r.mu.Unlock()
	if a == nil || a.log == nil {
		return
	}
	a.log.mu.Lock()
	defer a.log.mu.Unlock()
	if a.log.hasRoom() {
		a.log.lines = append(a.log.lines, lines...)
		a.log.soon()
	}
}

// hasRoom reports whether more lines can wait, and counts the others. The caller holds mu.
func (l *requestLog) hasRoom() bool {
	if len(l.lines) > maxLogged {
		l.dropped++
	}
	return !l.closed && len(l.lines) <= maxLogged
}

// soon lets the lines be written when there are enough, or after logDelay. The caller holds mu.
func (l *requestLog) soon() {
	switch {
	case l.writing:
	case len(l.lines) >= logBatch:
		l.writing = true
		go l.write()
	case !l.waiting:
		l.waiting = true
		l.timer.Reset(logDelay)
	}
}

func (l *requestLog) onTimer() {
	l.mu.Lock()
	l.waiting = false
	mine := !l.writing && !l.closed
	l.writing = l.writing || mine
	l.mu.Unlock()
	if mine {
		l.write()
	}
}

// write writes the lines that there are. The caller has set writing.
func (l *requestLog) write() {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	for {
		l.mu.Lock()
		lines, dropped := l.lines, l.dropped
		if len(lines) == 0 || l.closed {
			l.writing = false
			l.mu.Unlock()
			return
		}
		l.lines, l.dropped = l.spare[:0], 0
		l.mu.Unlock()
		l.to.Requests(lines)
		if dropped > 0 {
			l.to.Note("some requests are missing here: the log could not be written as fast as they came")
		}
		l.mu.Lock()
		if l.spare = lines; cap(lines) > 2*logBatch {
			l.spare = nil
		}
		l.mu.Unlock()
	}
}

// note writes a line about the app.
func (l *requestLog) note(text string) {
	if l == nil {
		return
	}
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if !closed {
		l.to.Note(text)
	}
}

// close writes what there is, and logs nothing from then on.
func (l *requestLog) close() {
	if l == nil {
		return
	}
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	l.mu.Lock()
	lines := l.lines
	l.closed, l.lines = true, nil
	l.timer.Stop()
	l.mu.Unlock()
	if len(lines) > 0 {
		l.to.Requests(lines)
	}
	l.to.Close()
}

// clientLeft is the status in the log if the client left before there was a response, as in nginx's.
const clientLeft = 499

// appendLine appends the line of x without its end. It took that many nanoseconds. The query is left out: it may
// be a secret.
func (x *exchange) appendLine(to []byte, took int64) []byte {
	status := x.resp.status
	if status == 0 {
		status = clientLeft
	}
	to = appendSafe(append(to, "method="...), x.req.method)
	to = appendSafe(append(to, " path="...), x.req.path())
	to = strconv.AppendInt(append(to, " status="...), int64(status), 10)
	to = strconv.AppendInt(append(to, " bytes="...), x.resp.bytes, 10)
	to = appendMillis(append(to, " time="...), took)
	if x.waited > 0 {
		to = appendMillis(append(to, " wait="...), int64(x.waited))
	}
	to = append(append(to, " from="...), x.from...)
	to = append(append(to, " host="...), x.req.authority...)
	to = append(append(to, " id="...), x.requestID...)
	if x.user != "" {
		to = appendSafe(append(to, " user="...), x.user)
	}
	return to
}

// appendSafe appends s without what could end the value or a line.
func appendSafe(to []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range min(len(s), maxLogValue) {
		if c := s[i]; c > ' ' && c != '"' && c < utf8.RuneSelf && c != 0x7f {
			to = append(to, c)
		} else {
			to = append(to, '%', hex[c>>4], hex[c&15])
		}
	}
	if len(s) > maxLogValue {
		to = append(to, "..."...)
	}
	return to
}

// appendMillis appends a time in milliseconds, with three decimals.
func appendMillis(to []byte, nanoseconds int64) []byte {
	micros := nanoseconds / 1000
	to = append(strconv.AppendInt(to, micros/1000, 10), '.')
	return append(to, byte('0'+micros/100%10), byte('0'+micros/10%10), byte('0'+micros%10), 'm', 's')
}
