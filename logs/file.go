package logs

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
)

// File is a log of bounded size: a file, and the one before it with ".1" after its name. Each line
// begins with its time (RFC 3339, UTC, milliseconds). An incomplete line waits for its end: for 2
// s, up to 64 KiB, and until [File.EndLine], [File.Note] or [File.Close]; then it is written as it
// is. The first line opens the file. A File is safe for concurrent use. Several Files in one
// process may have the same path, as while one release replaces another.
//
// A log must not stop an app, so Write never fails and waits only for the disk. Lines that do not
// fit on a full disk are dropped and counted; the count is written once there is space again.
type File struct {
	Path     string
	MaxBytes int64 // of each of the two files; default 10 MiB

	mu      sync.Mutex
	stream  *stream     // nil: not open
	partial []byte      // an incomplete line
	begun   time.Time   // when partial began
	timer   *time.Timer // ends an incomplete line; nil: not needed yet
}

const (
	longestLine = 64 << 10
	// longestWait is how long an incomplete line waits for its end. A program that asks a question,
	// or prints what it is about to do, and then hangs must be seen doing so.
	longestWait = 2 * time.Second
)

// buffers are for composing lines. They are shared because most processes print nothing most of the
// time.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Write always writes all of p and returns no error.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(p)
	now := time.Now()
	stamp := appendStamp(nil, now, app)
	buffer := buffers.Get().(*[]byte)
	lines, count := (*buffer)[:0], 0
	add := func(text []byte, ended bool) {
		lines = append(append(append(lines, stamp...), f.partial...), text...)
		if f.partial = f.partial[:0]; ended {
			lines = bytes.TrimSuffix(lines, []byte("\r"))
		}
		lines = append(lines, '\n')
		count++
		if len(lines) >= longestLine { // else a huge write would be doubled in memory
			f.put(lines, count, now)
			lines, count = lines[:0], 0
		}
	}
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		space := longestLine - len(f.partial)
		switch {
		case end >= 0 && end <= space:
			add(p[:end], true)
			p = p[end+1:]
		case len(p) > space:
			add(p[:space], false)
			p = p[space:]
		default:
			f.partial = append(f.partial, p...)
			p = nil
		}
	}
	if count > 0 {
		f.put(lines, count, now)
	}
	if *buffer = lines; cap(lines) <= 2*longestLine {
		buffers.Put(buffer)
	}
	switch {
	case len(f.partial) == 0:
		f.partial, f.begun = nil, time.Time{} // do not keep the memory of one long line
	case count > 0 || f.begun.IsZero():
		f.begin(now)
	}
	return n, nil
}

// begin starts the wait for the end of a line.
func (f *File) begin(now time.Time) {
	f.begun = now
	if f.timer != nil {
		f.timer.Reset(longestWait)
		return
	}
	f.timer = time.AfterFunc(longestWait, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if now := time.Now(); now.Sub(f.begun) >= longestWait { // else it is another line by now
			f.endLine(now)
		}
	})
}

// EndLine ends an incomplete line. Call it when the process has ended, so that the output of the
// next one begins a new line.
func (f *File) EndLine() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLine(time.Now())
}

func (f *File) endLine(now time.Time) {
	if len(f.partial) == 0 {
		return
	}
	text := bytes.TrimSuffix(f.partial, []byte("\r"))
	f.put(append(append(appendStamp(nil, now, app), text...), '\n'), 1, now)
	f.partial, f.begun = nil, time.Time{}
}

// Note writes a line of the server's own, "--- v7 starts", after everything written before. Readers
// can tell it from what apps print.
func (f *File) Note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.endLine(now)
	text := strings.NewReplacer("\n", " ", "\r", " ").Replace(fmt.Sprintf(format, args...))
	f.put(appendNote(nil, now, text), 1, now)
}

// Close writes an incomplete line and closes the file. A later Write opens it again.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLine(time.Now())
	if f.timer != nil {
		f.timer.Stop()
	}
	if f.stream == nil {
		return nil
	}
	s := f.stream
	f.stream = nil
	return s.release()
}

// put passes whole lines to the stream.
func (f *File) put(lines []byte, count int, now time.Time) {
	if f.stream == nil {
		f.stream = acquireStream(f.Path)
	}
	f.stream.put(lines, count, cmp.Or(f.MaxBytes, 10<<20), now)
}
