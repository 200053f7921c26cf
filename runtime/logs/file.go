package logs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// File is a log of bounded size on disk: a file, and the one before it with ".1" behind its
// name. Each line of what is written gets the time (RFC 3339, UTC, milliseconds) in front; a line
// not yet ended waits for its end, or for 64 KiB. It is opened with the first line, and safe for
// concurrent use.
//
// A log must not stop an app, so Write never fails and waits for nothing but the disk: what a full
// disk does not take is dropped and counted, and the count written when there is room again.
type File struct {
	Path     string
	MaxBytes int64 // of each of the two files; default 10 MiB

	mu      sync.Mutex
	file    *os.File
	size    int64
	partial []byte // of a line, without its end
	torn    bool   // the disk was full in the middle of a line
	dropped int    // lines
	cause   error  // why
}

const longestLogLine = 64 << 10

// Write takes all of p, always.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(p)
	stamp := time.Now().UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z07:00 ")
	var lines []byte
	count := 0
	add := func(text []byte) {
		lines = append(append(append(append(lines, stamp...), f.partial...), text...), '\n')
		f.partial = f.partial[:0]
		count++
		if len(lines) >= longestLogLine { // else a huge write is doubled in memory
			f.put(lines, count)
			lines, count = lines[:0], 0
		}
	}
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		room := longestLogLine - len(f.partial)
		switch {
		case end >= 0 && end <= room:
			add(bytes.TrimSuffix(p[:end], []byte("\r")))
			p = p[end+1:]
		case len(p) > room:
			add(p[:room])
			p = p[room:]
		default:
			f.partial = append(f.partial, p...)
			p = nil
		}
	}
	if len(f.partial) == 0 {
		f.partial = nil // one long line once is no reason to keep its memory
	}
	if count > 0 {
		f.put(lines, count)
	}
	return n, nil
}

// Close writes the last line, ended or not, and closes the file. A later Write opens it again.
func (f *File) Close() error {
	f.mu.Lock()
	partial := len(f.partial) > 0
	f.mu.Unlock()
	if partial {
		f.Write([]byte("\n"))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// put writes whole lines to disk, or counts them as dropped.
func (f *File) put(lines []byte, count int) {
	err := f.ready(int64(len(lines)))
	if err == nil && f.dropped > 0 { // in one write with the line: it must not find room alone, again and again
		note := fmt.Appendf(nil, "%s--- %d lines not written: %v\n", lines[:bytes.IndexByte(lines, ' ')+1], f.dropped, f.cause)
		if f.torn {
			note = append([]byte{'\n'}, note...)
		}
		lines = append(note, lines...)
	}
	if err == nil {
		if err = f.append(lines); err == nil {
			f.dropped, f.torn = 0, false
		}
	}
	if err != nil {
		f.dropped += count
		f.cause = err
		if path, ok := errors.AsType[*os.PathError](err); ok {
			f.cause = path.Err // the reader knows which file
		}
	}
}

// append writes b, or takes back what of it went to disk.
func (f *File) append(b []byte) error {
	n, err := f.file.Write(b)
	if err != nil && n > 0 && f.file.Truncate(f.size) != nil {
		f.size += int64(n)
		f.torn = true
	} else if err == nil {
		f.size += int64(n)
	}
	return err
}

// ready opens the file, and begins a new one where b more bytes would be too many for it. It looks
// each time: while a release takes over from another, both write here, and either may begin a new one.
func (f *File) ready(b int64) error {
	if f.file != nil {
		now, err := os.Stat(f.Path)
		ours, ourErr := f.file.Stat()
		if err != nil || ourErr != nil || !os.SameFile(now, ours) {
			f.file.Close()
			f.file = nil
		} else {
			f.size = now.Size()
		}
	}
	if f.file == nil {
		file, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err != nil {
			file.Close()
			return err
		}
		f.file, f.size = file, info.Size()
	}
	if f.size == 0 || f.size+b <= cmp.Or(f.MaxBytes, 10<<20) {
		return nil
	}
	f.file.Close()
	f.file = nil
	if err := os.Rename(f.Path, f.Path+".1"); err != nil {
		return err
	}
	return f.ready(b)
}
