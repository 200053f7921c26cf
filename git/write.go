package git

import (
	"context"
	"path"
)

// WriteTree writes the files of commit into dir, an existing empty folder, byte for byte: files
// with mode 0644, executables and folders 0755, regardless of the umask, and symbolic links. It
// does the same as [Repo.Checkout], without git.
//
// It writes no files of submodules, refuses unsafe names, and writes nothing outside dir, even for a commit that
// was not inspected; it does not check the targets of links. The error matches [syscall.ENOSPC] if
// the disk is full; the caller removes what was written. Files are not synced. Files over 1 MiB are
// streamed, except those that git stores as a delta (none over core.bigFileThreshold): go-git
// rebuilds them in memory.
func (o *Objects) WriteTree(ctx context.Context, commit, dir string) error {
	entries, err := o.files(ctx, commit)
	if err != nil {
		return err
	}
	root, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return o.contents(ctx, entries, func(contents <-chan content) error {
		at := dirCursor{root: root, openSub: folder.makeSubfolder}
		defer at.close()
		for c := range contents {
			in, err := at.folderOf(c.path)
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
