package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// headLength is how much of a script the kernel reads to find its interpreter, in bytes
// (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h).
const headLength = 256

// CarriageReturns lists the executable files of commit whose first line is "#!" and ends in a
// carriage return, as files written on Windows do: the kernel takes it for part of the
// interpreter's name or argument, and says only "not found". At most limit paths, in the commit's
// order; it stops reading there. Of each executable file the first 256 bytes are read.
func (o *Objects) CarriageReturns(ctx context.Context, commit string, limit int) ([]string, error) {
	entries, err := o.list(ctx, commit)
	if err != nil {
		return nil, err
	}
	var paths []string
	known := map[plumbing.Hash]bool{}
	for _, e := range entries {
		if len(paths) >= limit {
			break
		}
		if e.mode != filemode.Executable {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		is, ok := known[e.hash]
		if !ok {
			if is, err = o.carriageReturn(e); err != nil {
				return nil, fmt.Errorf("%s: %w", e.path, err)
			}
			known[e.hash] = is
		}
		if is {
			paths = append(paths, e.path)
		}
	}
	return paths, nil
}

func (o *Objects) carriageReturn(e entry) (bool, error) {
	r, err := o.content(e.hash)
	if err != nil {
		return false, err
	}
	defer r.Close()
	head := make([]byte, headLength)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	line, _, ended := bytes.Cut(head[:n], []byte{'\n'})
	return ended && bytes.HasPrefix(line, []byte("#!")) && bytes.HasSuffix(line, []byte{'\r'}), nil
}
