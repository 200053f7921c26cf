package git

import (
	"context"
	"path"
)

// WriteTree writes the files of commit into dir, an existing empty folder, byte for byte: files
// with mode 0644, executables and folders 0755, regardless of the umask, and symbolic links. They
// belong to the owner of dir, if this process is root.
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
	return o.writeFiles(ctx, entries, root)
}

// writeFiles writes new files below root, and the folders that are missing.
func (o *Objects) writeFiles(ctx context.Context, entries []entry, root folder) error {
	uid, gid, err := root.owner()
	if err != nil {
		return err
	}
	return o.contents(ctx, entries, func(contents <-chan content) error {
		at := dirCursor{root: root, openSub: folder.makeSubfolder}
		defer at.close()
		for c := range contents {
			in, err := at.folderOf(c.path)
			if err == nil {
				err = c.write(in, path.Base(c.path))
			}
			if err == nil {
				err = in.chown(path.Base(c.path), uid, gid)
			}
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}
