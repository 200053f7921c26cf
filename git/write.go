package git

import (
	"context"
	"path"
)

// WriteTree writes the files of commit into dir, an existing and empty folder, byte for byte as
// they were committed: files 0644, or 0755 where executable, folders 0755, whatever the umask, and
// symbolic links as links. It is [Repo.Checkout] without git, for where there is none.
//
// It refuses submodules and names that lead elsewhere, and writes nothing outside dir, also from a
// commit that no [Inspector] has seen; it does not look where links lead. The error matches
// [syscall.ENOSPC] where the disk is full; what was written until then is left to the caller. Files
// are written, not flushed. Those over 1 MiB are streamed, save one that git keeps as its difference
// from another (none over core.bigFileThreshold): go-git puts it together in memory.
func (o *Objects) WriteTree(ctx context.Context, commit, dir string) error {
	entries, err := o.list(ctx, commit)
	if err != nil {
		return err
	}
	root, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return o.contents(ctx, entries, func(contents <-chan content) error {
		at := place{root: root, step: folder.make}
		defer at.close()
		for c := range contents {
			in, err := at.of(c.path)
			if err == nil {
				err = c.write(in, path.Base(c.path))
			}
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}
