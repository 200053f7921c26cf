package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// source is one process's log being read. A round reads up to where the file ended when the round
// began, so that a process that never stops printing keeps no other from being read.
type source struct {
	process string
	path    string
	follow  bool
	gone    bool // its log was removed

	file *os.File // nil: there is none yet
	at   int64    // read so far of it
	end  int64    // how far this round goes
	next *os.File // what continues file, which is then complete; nil: not known

	space  []byte // what was read is read into it
	buffer []byte // the part of space that was not handed out yet
	rest   bool   // no more comes: what is in buffer without an end is a line
	line   Line   // to be handed out next
	has    bool
	last   time.Time // of the line before, for one that has none
}

func newSource(dir, process string, follow bool) *source {
	return &source{process: process, path: filepath.Join(dir, process+".log"), follow: follow}
}

func (s *source) close() {
	for _, f := range []*os.File{s.file, s.next} {
		if f != nil {
			f.Close()
		}
	}
	s.file, s.next = nil, nil
}

// begin makes the first round of the last lines since then, and counts them; where last is negative,
// of all, which it does not count.
func (s *source) begin(last int, since time.Time) (count int, err error) {
	old, now, err := openBoth(s.path)
	if err != nil || old == nil && now == nil {
		return 0, err
	}
	s.rest = !s.follow
	if now != nil {
		s.file = now
		if count, err = s.place(last); err != nil {
			closeAll(old)
			return 0, err
		}
		if old != nil && (count == last || !s.startsAfter(since)) {
			old.Close()
			old = nil
		}
	}
	if old != nil {
		s.file, s.next = old, now
		more, err := s.place(last - count)
		if err != nil {
			return 0, err
		}
		count += more
	}
	for !since.IsZero() {
		ok, err := s.peek()
		if err != nil || !ok || !s.line.Time.Before(since) {
			return count, err
		}
		s.take()
		count--
	}
	return count, nil
}

// place goes to where the last lines of the file begin, and counts them; where last is negative, to
// its first line.
func (s *source) place(last int) (count int, err error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	s.at, s.end = headOf(s.file).length, info.Size()
	if last >= 0 {
		s.at, count, err = lastLines(s.file, s.at, s.end, last)
	}
	return count, err
}

// startsAfter says whether the file's first line may be one of those since then, so that there may be
// others before it.
func (s *source) startsAfter(since time.Time) bool {
	first := make([]byte, stampLength+1)
	s.file.ReadAt(first, headOf(s.file).length)
	l, ok := parse(first)
	return !ok || !l.Time.Before(since)
}

// look begins another round.
func (s *source) look() error {
	there, err := os.Stat(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.file == nil {
		if err != nil {
			return nil
		}
		if _, err := s.begin(-1, time.Time{}); err != nil || s.file == nil {
			return err
		}
		head := headOf(s.file)
		s.missed(head.before, head.at)
		return nil
	}
	info, err := s.file.Stat() // after the look at path: a file that is put away is complete
	if err != nil {
		return err
	}
	if s.end = info.Size(); s.end < s.at { // emptied by hand
		s.at, s.buffer = 0, nil
	}
	if there == nil || os.SameFile(there, info) || s.at < s.end || s.next != nil {
		return nil
	}
	if s.rest = len(s.buffer) > 0; s.rest {
		return nil
	}
	old, now, err := openBoth(s.path)
	if err != nil {
		return err
	}
	if old != nil && (isFile(old, info) || headOf(old).before < countThrough(s.file)) {
		old.Close()
		old = nil
	}
	if old == nil {
		return s.turn(now)
	}
	if err := s.turn(old); err != nil {
		return err
	}
	s.next = now
	return nil
}

// turn goes on to f, and says how many lines there were in between.
func (s *source) turn(f *os.File) error {
	if f == nil { // to be opened by the next line
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	head := headOf(f)
	if head.before > 0 {
		s.missed(head.before-countThrough(s.file), head.at)
	}
	s.file.Close()
	s.file, s.at, s.end, s.rest = f, head.length, info.Size(), !s.follow
	return nil
}

// missed tells the reader of lines that are no longer there, if there were any.
func (s *source) missed(lines int64, at time.Time) {
	if lines > 0 {
		s.line = Line{Process: s.process, Time: at, Note: true, Text: fmt.Appendf(nil, "--- %d lines left out: the reader was too slow", lines)}
		s.has = true
	}
}

// more says whether there is something left to read, as far as is known.
func (s *source) more() bool {
	return s.has || s.file != nil && (s.at < s.end || s.next != nil)
}

// take hands out the line that peek has found. Its text is good until the next peek.
func (s *source) take() Line {
	s.has = false
	return s.line
}

// peek finds the next line of this round, if there is one.
func (s *source) peek() (bool, error) {
	for !s.has {
		end := bytes.IndexByte(s.buffer, '\n')
		switch {
		case end >= 0:
			s.found(s.buffer[:end])
			s.buffer = s.buffer[end+1:]
		case len(s.buffer) >= 2*longestLine: // no File wrote that
			s.found(s.buffer)
			s.buffer = nil
		case s.at < s.end:
			if err := s.read(); err != nil {
				return false, err
			}
		case len(s.buffer) > 0 && (s.rest || s.next != nil):
			s.found(s.buffer)
			s.buffer = nil
		case s.next != nil:
			f := s.next
			s.next = nil
			if err := s.turn(f); err != nil {
				return false, err
			}
		default:
			if len(s.buffer) == 0 {
				s.space = nil // there may be many sources, and most are silent
			}
			return false, nil
		}
	}
	return true, nil
}

// found makes raw the line to be handed out.
func (s *source) found(raw []byte) {
	line, ok := parse(raw)
	if !ok {
		line = Line{Time: s.last, Text: raw}
	}
	line.Process = s.process
	s.line, s.has, s.last = line, true, line.Time
}

// read reads more behind what is in the buffer.
func (s *source) read() error {
	const chunk = 32 << 10
	if len(s.space)-len(s.buffer) < chunk {
		grown := make([]byte, len(s.buffer)+2*chunk)
		copy(grown, s.buffer)
		s.space = grown
	} else {
		copy(s.space, s.buffer)
	}
	kept := len(s.buffer)
	part := s.space[kept:]
	if left := s.end - s.at; left < int64(len(part)) {
		part = part[:left]
	}
	n, err := s.file.ReadAt(part, s.at)
	if errors.Is(err, io.EOF) { // emptied by hand
		s.end, err = s.at+int64(n), nil
	}
	s.at += int64(n)
	s.buffer = s.space[:kept+n]
	return err
}

// lastLines is where the last n lines of f before end begin, not before start, and how many they are.
func lastLines(f io.ReaderAt, start, end int64, n int) (at int64, count int, err error) {
	if n <= 0 || end <= start {
		return end, 0, nil
	}
	buffer := make([]byte, min(end-start, 32<<10))
	for from := end; from > start; {
		chunk := buffer[:min(from-start, int64(len(buffer)))]
		from -= int64(len(chunk))
		if _, err := f.ReadAt(chunk, from); err != nil && !errors.Is(err, io.EOF) {
			return end, 0, err
		}
		for i := bytes.LastIndexByte(chunk, '\n'); i >= 0; i = bytes.LastIndexByte(chunk[:i], '\n') {
			if begin := from + int64(i) + 1; begin != end {
				if count++; count == n {
					return begin, count, nil
				}
			}
		}
	}
	return start, count + 1, nil
}

// openBoth opens the file at path and the one before it; nil where there is none, or one in which
// nothing is yet, not even its head.
func openBoth(path string) (old, now *os.File, err error) {
	for range 10 {
		if now, err = openIf(path); err != nil {
			return nil, nil, err
		}
		if old, err = openIf(path + ".1"); err != nil {
			closeAll(now)
			return nil, nil, err
		}
		there, err := os.Stat(path)
		if now == nil && (err != nil || there.Size() == 0) || now != nil && err == nil && isFile(now, there) {
			return old, now, nil
		}
		closeAll(old, now) // rotated meanwhile: once more
	}
	return nil, nil, fmt.Errorf("%s is rotated faster than it can be opened", path)
}

func openIf(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		f.Close()
		return nil, err
	}
	return f, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

func isFile(f *os.File, info fs.FileInfo) bool {
	own, err := f.Stat()
	return err == nil && os.SameFile(own, info)
}
