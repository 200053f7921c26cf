package volume

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Follow copies the file at path to w as it grows, from offset on, until ctx ends; it still copies
// what the file has then. It waits for a file that does not exist yet. If the file is replaced
// (rotation) or shortened, Follow copies the rest of the old one and then the new one from its
// beginning. It returns the error of w or the disk, never that of ctx. A link in place of the file is
// an error, as is a pipe: an app may have put it there.
func Follow(ctx context.Context, path string, offset int64, w io.Writer) error {
	const interval = 50 * time.Millisecond // only people watch
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var f *os.File
	var err error
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	for last := false; ; {
		if f == nil {
			f, err = openAt(path, offset)
		}
		if err != nil {
			return err
		}
		if f != nil {
			if _, err := io.Copy(w, f); err != nil {
				return err
			}
		}
		if f != nil && replaced(f, path) {
			_, err = io.Copy(w, f) // what was written between the copy and the rotation
			f.Close()
			f, offset = nil, 0
			continue
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			last = true
		case <-tick.C:
		}
	}
}

func openAt(path string, offset int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	return f, err
}

// replaced reports whether path now names another file than f, or f was shortened below what was
// read.
func replaced(f *os.File, path string) bool {
	now, err := os.Lstat(path)
	if err != nil {
		return false
	}
	was, err := f.Stat()
	if err != nil {
		return true
	}
	at, err := f.Seek(0, io.SeekCurrent)
	return err == nil && (!os.SameFile(was, now) || now.Size() < at)
}
