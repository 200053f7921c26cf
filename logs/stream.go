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

// stream is the one hand that writes the file at a path, for all the [File]s of it in this process:
// none begins a new file behind another's back.
type stream struct {
	path  string
	files int // that hold it; of streams.mu

	mu      sync.Mutex
	file    *os.File // nil: to be opened
	size    int64
	head    []byte    // to be written before anything else into a new file
	looked  time.Time // when the file was last seen to be the one at path
	torn    bool      // the file ends in the middle of a line: the disk was full, or the power cut
	dropped int       // lines
	cause   error     // why
}

// streams are those held now, by path.
var streams = struct {
	mu     sync.Mutex
	byPath map[string]*stream
}{byPath: map[string]*stream{}}

func hold(path string) *stream {
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

// release closes the file when nobody holds the stream any more.
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

// put writes whole lines to disk, or counts them as dropped.
func (s *stream) put(lines []byte, count int, limit int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.ready(int64(len(lines)), limit, now)
	if err == nil && (s.torn || s.dropped > 0 || len(s.head) > 0) {
		lines = append(s.preface(now), lines...) // in one write with the line: it must not find room alone, again and again
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
			s.cause = path.Err // the reader knows which file
		}
	}
}

// preface is what is to be said before the next line.
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

// append writes b, or takes back what of it went to disk.
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

// ready opens the file, and begins a new one where more bytes would be too many for it. What people
// do to it by hand, such as remove it, is seen within a second.
func (s *stream) ready(more, limit int64, now time.Time) error {
	if s.file != nil && now.Sub(s.looked) >= time.Second {
		s.looked = now
		there, err := os.Stat(s.path)
		ours, ourErr := s.file.Stat()
		if err != nil || ourErr != nil || !os.SameFile(there, ours) {
			s.close()
		} else {
			s.size = there.Size()
		}
	}
	if s.file == nil {
		if err := s.open(now); err != nil {
			return err
		}
	}
	if s.size == 0 || s.size+int64(len(s.head))+more <= limit {
		return nil
	}
	s.close()
	if err := os.Rename(s.path, s.path+".1"); err != nil {
		return err
	}
	return s.open(now)
}

// open opens the file at path, ends a line that a power cut left without its end, and makes the head
// of a file that is new.
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
	s.file, s.size, s.looked = file, info.Size(), now
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

// linesThrough is how many lines there were, ever, up to the end of the file at path; 0 where there
// is none.
func linesThrough(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	return countThrough(f)
}

// countThrough is linesThrough for a file that is open.
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
