package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/go-git/go-git/v5/plumbing/filemode"
	"golang.org/x/sync/errgroup"
)

const (
	numWriters = 2 // goroutines that write files
	// files opened ahead of the writers; each up to largeObject is in memory
	readAhead = 2 * numWriters
)

// content is an entry with its open content, which must be closed.
type content struct {
	entry
	index int // index in the list
	io.ReadCloser
}

// contents opens the content of each entry in order and sends it to one of several goroutines that
// run write until the channel is closed. It blocks until all have returned, and returns the first
// error, or ctx's.
//
// Only one goroutine looks up objects, because go-git does not allow more. Their content may be
// read by any goroutine.
func (o *Objects) contents(ctx context.Context, entries []entry,
	write func(contents <-chan content) error) error {
	group, ctx := errgroup.WithContext(ctx)
	contents := make(chan content, readAhead)
	group.Go(func() error {
		defer close(contents)
		for i, e := range entries {
			r, err := o.content(e.hash)
			if err != nil {
				return fmt.Errorf("%s: %w", e.path, err)
			}
			select {
			case contents <- content{e, i, r}:
			case <-ctx.Done():
				r.Close()
				return ctx.Err()
			}
		}
		return nil
	})
	for range min(numWriters, len(entries)) {
		group.Go(func() error { return write(contents) })
	}
	err := group.Wait()
	for c := range contents { // left over after an error
		c.Close()
	}
	return err
}

// write writes the content as a new file or link. Errors contain the path in the commit.
func (c content) write(in folder, name string) error {
	var err error
	switch c.mode {
	case filemode.Symlink:
		var target []byte
		target, err = io.ReadAll(io.LimitReader(c, maxLink+1)) // the kernel refuses longer ones
		if err == nil {
			err = in.symlink(string(target), name)
		}
	case filemode.Executable:
		err = in.writeFile(name, 0o755, c)
	default:
		err = in.writeFile(name, 0o644, c)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		at.Path = c.path
	} else if err != nil {
		err = fmt.Errorf("%s: %w", c.path, err)
	}
	return err
}
