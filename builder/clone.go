package builder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// clone copies the folder from to the new folder to. With link, files are hard links: fast, and
// safe as long as neither side writes to them in place. Otherwise contents are copied, by the file
// system itself if it can share blocks. It skips everything but files, folders and symbolic links.
func clone(ctx context.Context, from, to string, link bool) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch e.Type() {
		case fs.ModeDir:
			err = clone(ctx, source, target, link)
		case fs.ModeSymlink:
			err = cloneLink(source, target)
		case 0:
			err = cloneFile(source, target, link)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func cloneLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

func cloneFile(from, to string, link bool) error {
	if link {
		err := os.Link(from, to)
		if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EMLINK) &&
			!errors.Is(err, unix.EPERM) {
			return err // usually nil
		}
	}
	// an app may have put a link or a pipe here
	in, err := os.OpenFile(from, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
