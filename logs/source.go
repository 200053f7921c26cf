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

// source reads the log of one process. A round reads up to the end that the file had when the round
// began, so that a process that prints without end does not keep others from being read.
type source struct {
	process string
	path    string
	follow  bool
	gone    bool // its log was removed

	file *os.File // nil: none yet
	at   int64    // position in file
	end  int64    // where this round ends
	next *os.File // the file after this one, which is then complete; nil: unknown

	space  []byte // memory for reading
	buffer []byte // the part of space that was read but not passed on
	rest   bool   // nothing follows: an incomplete line in buffer counts as one
	line   Line   // the next one, if has
	has    bool
	last   time.Time // time of the previous line, for lines without a time
}

func newSource(dir, process string, follow bool) *source {
	return &source{process: process, path: filepath.Join(dir, process+".log"), follow: follow}
}

func (s *source) close() {
	closeAll(s.file, s.next)
	s.file, s.next = nil, nil
}

// begin starts the first round with the last lines since then, and counts them. A negative last
// means all lines; they are not counted.
func (s *source) begin(last int, since time.Time) (count int, err error) {
	old, now, err := openBoth(s.path)
	if err != nil || old == nil && now == nil {
		return 0, err
	}
	s.rest = !s.follow
	if now != nil {
		s.file = now
		if count, err = s.seek(last); err != nil {
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
		more, err := s.seek(last - count)
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

// seek moves to the last lines of the file and counts them, or to its first line if last is
// negative.
func (s *source) seek(last int) (count int, err error) {
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

// startsAfter reports whether the file's first line is not older than since, so that the file
// before it may have more of them.
func (s *source) startsAfter(since time.Time) bool {
	first := make([]byte, stampLength+1)
	s.file.ReadAt(first, headOf(s.file).length)
	l, ok := parse(first)
	return !ok || !l.Time.Before(since)
}

// startRound begins another round.
func (s *source) startRound() error {
	current, err := os.Stat(s.path)
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
	info, err := s.file.Stat() // after the Stat of path: a rotated file is complete
	if err != nil {
		return err
	}
	if s.end = info.Size(); s.end < s.at { // emptied by hand
		s.at, s.buffer = 0, nil
	}
	if current == nil || os.SameFile(current, info) || s.at < s.end || s.next != nil {
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
		return s.switchTo(now)
	}
	if err := s.switchTo(old); err != nil {
		return err
	}
	s.next = now
	return nil
}

// switchTo continues with f, and reports how many lines were lost in between.
func (s *source) switchTo(f *os.File) error {
	if f == nil { // the next line will open it
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

// missed tells the reader how many lines are gone, if any.
func (s *source) missed(lines int64, at time.Time) {
	if lines > 0 {
		text := fmt.Appendf(nil, "--- %d lines left out: the reader was too slow", lines)
		s.line = Line{Process: s.process, Time: at, Note: true, Text: text}
		s.has = true
	}
}

// more reports whether, as far as is known, something is left to read.
func (s *source) more() bool {
	return s.has || s.file != nil && (s.at < s.end || s.next != nil)
}

// take returns the line that peek has found. Its text is valid until the next peek.
func (s *source) take() Line {
	s.has = false
	return s.line
}

// peek looks for the next line of this round.
func (s *source) peek() (bool, error) {
	for !s.has {
		end := bytes.IndexByte(s.buffer, '\n')
		switch {
		case end >= 0:
			s.found(s.buffer[:end])
			s.buffer = s.buffer[end+1:]
		case len(s.buffer) >= 2*longestLine: // not written by a File
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
			if err := s.switchTo(f); err != nil {
				return false, err
			}
		default:
			if len(s.buffer) == 0 {
				s.space = nil // there may be many sources, most of them silent
			}
			return false, nil
		}
	}
	return true, nil
}

// found makes raw the next line.
func (s *source) found(raw []byte) {
	line, ok := parse(raw)
	if !ok {
		line = Line{Time: s.last, Text: raw}
	}
	line.Process = s.process
	s.line, s.has, s.last = line, true, line.Time
}

// read reads more into the buffer.
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

// lastLines returns where the last n lines of f between start and end begin, and how many there
// are.
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
		for rest := chunk; ; {
			i := bytes.LastIndexByte(rest, '\n')
			if i < 0 {
				break
			}
			rest = rest[:i]
			if begin := from + int64(i) + 1; begin != end {
				if count++; count == n {
					return begin, count, nil
				}
			}
		}
	}
	return start, count + 1, nil
}

// openBoth opens the file at path and the one before it. It returns nil for a file that does not
// exist or is empty.
func openBoth(path string) (old, now *os.File, err error) {
	for range 10 {
		if now, err = openIf(path); err != nil {
			return nil, nil, err
		}
		if old, err = openIf(path + ".1"); err != nil {
			closeAll(now)
			return nil, nil, err
		}
		current, err := os.Stat(path)
		none := now == nil && (err != nil || current.Size() == 0)
		if none || now != nil && err == nil && isFile(now, current) {
			return old, now, nil
		}
		closeAll(old, now) // rotated meanwhile: try again
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
		f.Close() // an error if f is nil
	}
}

func isFile(f *os.File, info fs.FileInfo) bool {
	own, err := f.Stat()
	return err == nil && os.SameFile(own, info)
}
