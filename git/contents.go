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
	writers   = 2           // who write files side by side
	readAhead = 2 * writers // files read before they are written; one of up to largeObject is held in memory
)

// content is what is to be written as an entry. Close it.
type content struct {
	entry
	number int // its place in the list
	io.ReadCloser
}

// contents opens the content of each entry in order and gives it to one of several write, which
// run side by side until contents is closed. It blocks until all of them have returned; their first
// error, or ctx, ends it.
//
// One goroutine looks objects up, for go-git takes one caller at a time; what it returns may be
// read anywhere.
func (o *Objects) contents(ctx context.Context, entries []entry, write func(contents <-chan content) error) error {
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
	for range min(writers, len(entries)) {
		group.Go(func() error { return write(contents) })
	}
	err := group.Wait()
	for c := range contents { // nobody wanted these any more
		c.Close()
	}
	return err
}

// write writes the content as the new file or link called name. The error tells of it by its path
// in the commit.
func (c content) write(in folder, name string) error {
	var err error
	switch c.mode {
	case filemode.Symlink:
		var target []byte
		target, err = io.ReadAll(io.LimitReader(c, maxLink+1)) // what is longer, the kernel refuses
		if err == nil {
			err = in.link(string(target), name)
		}
	case filemode.Executable:
		err = in.create(name, 0o755, c)
	default:
		err = in.create(name, 0o644, c)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		at.Path = c.path
	} else if err != nil {
		err = fmt.Errorf("%s: %w", c.path, err)
	}
	return err
}
