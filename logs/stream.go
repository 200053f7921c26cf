package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// stream is the only writer of the file at a path, for all [File]s with that path in this process,
// so that none of them rotates the file while another writes to it.
type stream struct {
	path  string
	files int // Files that use it; guarded by streams.mu

	mu      sync.Mutex
	file    *os.File // nil: not open
	size    int64
	head    []byte    // to write at the beginning of a new file
	checked time.Time // when file was last known to be the one at path
	torn    bool      // the file ends with an incomplete line, from a full disk or a power cut
	dropped int       // lines
	cause   error     // why
}

// streams are those in use, by path.
var streams = struct {
	mu     sync.Mutex
	byPath map[string]*stream
}{byPath: map[string]*stream{}}

func acquireStream(path string) *stream {
	streams.mu.Lock()
	defer streams.mu.Unlock()
	s := streams.byPath[path]
	if s == nil {
		s = &stream{path: path}
		streams.byPath[path] = s
	}
	s.files++
	return s
}

// release closes the file after its last user.
func (s *stream) release() error {
	streams.mu.Lock()
	defer streams.mu.Unlock()
	if s.files--; s.files > 0 {
		return nil
	}
	delete(streams.byPath, s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

func (s *stream) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file, s.head, s.torn = nil, nil, false
	return err
}

// put writes whole lines, or counts them as dropped.
func (s *stream) put(lines []byte, count int, limit int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.ready(int64(len(lines)), limit, now)
	if err == nil && (s.torn || s.dropped > 0 || len(s.head) > 0) {
		// in one write with the line, else a nearly full disk may get the preface again and again
		lines = append(s.preface(now), lines...)
	}
	if err == nil {
		if err = s.append(lines); err == nil {
			s.dropped, s.torn, s.head = 0, false, nil
		}
	}
	if err != nil {
		s.dropped += count
		s.cause = err
		if path, ok := errors.AsType[*os.PathError](err); ok {
			s.cause = path.Err // readers know the path
		}
	}
}

// preface returns what must precede the next line.
func (s *stream) preface(now time.Time) []byte {
	var text []byte
	if s.torn {
		text = append(text, '\n')
	}
	text = append(text, s.head...)
	if s.dropped > 0 {
		text = appendNote(text, now, fmt.Sprintf("%d lines not written: %v", s.dropped, s.cause))
	}
	return text
}

// append writes b, or undoes a partial write.
func (s *stream) append(b []byte) error {
	n, err := s.file.Write(b)
	if err != nil && n > 0 && s.file.Truncate(s.size) != nil {
		s.size += int64(n)
		s.torn = true
	} else if err == nil {
		s.size += int64(n)
	}
	return err
}

// ready opens the file, and rotates it if more bytes would exceed the limit. It notices within a
// second if somebody removes or changes the file, and before it rotates: another process may have
// rotated it, and the file before would be lost.
func (s *stream) ready(more, limit int64, now time.Time) error {
	if s.file != nil && now.Sub(s.checked) >= time.Second {
		s.check(now)
	}
	if s.isFull(more, limit) {
		s.check(now)
	}
	if s.file == nil {
		if err := s.open(now); err != nil {
			return err
		}
	}
	if !s.isFull(more, limit) {
		return nil
	}
	s.close()
	if err := os.Rename(s.path, s.path+".1"); err != nil {
		return err
	}
	return s.open(now)
}

// isFull reports whether more bytes would exceed the limit of an open file.
func (s *stream) isFull(more, limit int64) bool {
	return s.file != nil && s.size > 0 && s.size+int64(len(s.head))+more > limit
}

// check closes the file if it is no longer the one at the path.
func (s *stream) check(now time.Time) {
	s.checked = now
	current, err := os.Stat(s.path)
	own, ownErr := s.file.Stat()
	if err != nil || ownErr != nil || !os.SameFile(current, own) {
		s.close()
		return
	}
	s.size = current.Size()
}

// open opens the file. It notices an incomplete line at its end, and prepares the head of a new
// file.
func (s *stream) open(now time.Time) error {
	file, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	s.file, s.size, s.checked = file, info.Size(), now
	last := []byte{'\n'}
	switch {
	case s.size > 0:
		_, err := file.ReadAt(last, s.size-1)
		s.torn = err == nil && last[0] != '\n'
	default:
		if before := linesThrough(s.path + ".1"); before > 0 {
			s.head = appendHead(nil, now, before)
		}
	}
	return nil
}

// linesThrough returns the number of all lines up to the end of the file at path, including those
// of earlier files; 0 if it does not exist.
func linesThrough(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	return countThrough(f)
}

// countThrough is linesThrough for an open file.
func countThrough(f io.ReaderAt) int64 {
	head := headOf(f)
	lines, at := head.before, head.length
	buffer := make([]byte, 64<<10)
	for {
		n, err := f.ReadAt(buffer, at)
		lines += int64(bytes.Count(buffer[:n], []byte{'\n'}))
		if at += int64(n); err != nil {
			return lines
		}
	}
}
