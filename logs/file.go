package logs

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
)

// File is a log of bounded size on disk: a file, and the one before it with ".1" behind its
// name. Each line of what is written gets the time (RFC 3339, UTC, milliseconds) in front. A line
// without its end yet waits for it: for 2 s, up to 64 KiB, and until [File.EndLine], [File.Note] or
// [File.Close]; then it is a line as it is. The file is opened with the first line. A File is safe
// for concurrent use; so are several Files of one path in one process, as while a release takes
// over from another.
//
// A log must not stop an app, so Write never fails and waits for nothing but the disk: what a full
// disk does not take is dropped and counted, and the count written when there is room again.
type File struct {
	Path     string
	MaxBytes int64 // of each of the two files; default 10 MiB

	mu      sync.Mutex
	stream  *stream     // nil: not open
	partial []byte      // of a line, without its end
	begun   time.Time   // when partial was
	late    *time.Timer // ends a line that stays without its end; nil: never needed yet
}

const (
	longestLine = 64 << 10
	// longestWait is how long a line waits for its end. A program that asks a question, or says what it
	// is about to do, and then hangs is to be seen doing so.
	longestWait = 2 * time.Second
)

// buffers are what lines are built in. Shared, for most of many processes print nothing most of the time.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Write takes all of p, always.
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
		if len(lines) >= longestLine { // else a huge write is doubled in memory
			f.put(lines, count, now)
			lines, count = lines[:0], 0
		}
	}
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		room := longestLine - len(f.partial)
		switch {
		case end >= 0 && end <= room:
			add(p[:end], true)
			p = p[end+1:]
		case len(p) > room:
			add(p[:room], false)
			p = p[room:]
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
		f.partial, f.begun = nil, time.Time{} // one long line once is no reason to keep its memory
	case count > 0 || f.begun.IsZero():
		f.begin(now)
	}
	return n, nil
}

// begin notes that a line was begun that has no end yet.
func (f *File) begin(now time.Time) {
	f.begun = now
	if f.late != nil {
		f.late.Reset(longestWait)
		return
	}
	f.late = time.AfterFunc(longestWait, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if now := time.Now(); now.Sub(f.begun) >= longestWait { // else it is another line by now
			f.endLine(now)
		}
	})
}

// EndLine ends a line that was begun. Call it when the process that printed it has ended: what the
// next one prints is a line of its own.
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

// Note writes a line of our own, "--- v7 starts", behind all that was written before. Whatever an
// app prints, a reader knows the two apart.
func (f *File) Note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.endLine(now)
	text := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	f.put(appendNote(nil, now, text), 1, now)
}

// Close writes the last line, ended or not, and closes the file. A later Write opens it again.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLine(time.Now())
	if f.late != nil {
		f.late.Stop()
	}
	if f.stream == nil {
		return nil
	}
	s := f.stream
	f.stream = nil
	return s.release()
}

// put hands whole lines to the stream.
func (f *File) put(lines []byte, count int, now time.Time) {
	if f.stream == nil {
		f.stream = hold(f.Path)
	}
	f.stream.put(lines, count, cmp.Or(f.MaxBytes, 10<<20), now)
}
