package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"paas/durable"
)

// Kept is a checkout of a commit in a folder of the app that no process of an app sees. It holds
// exactly the files of that commit.
type Kept string

const (
	Spare Kept = "spare" // becomes the next build
	Base  Kept = "base"  // what spares share their blocks with, where the file system can
)

// Keep moves dir, a folder made by [Volume.TempDir] whose tree/ is a checkout of commit, into the
// app, and replaces an earlier one. The caller has flushed the files to disk.
func (a App) Keep(k Kept, commit, dir string) error {
	if err := os.Rename(filepath.Join(dir, "tree"), filepath.Join(dir, commit)); err != nil {
		return err
	}
	if err := a.Forget(k); err != nil {
		return err
	}
	if err := a.vol.move(dir, a.path(string(k))); err != nil {
		return err
	}
	return durable.SyncDir(a.Dir())
}

// TakeKept moves a checkout out of the app, to tree/ in a folder like those of [Volume.TempDir], and
// returns its commit. The error is [fs.ErrNotExist] if there is none. It is one rename: of several
// callers, one gets the checkout. After another error, the caller removes the folder.
func (a App) TakeKept(k Kept) (dir, commit string, err error) {
	dir, err = a.vol.temp()
	if err == nil {
		err = a.vol.move(a.path(string(k)), dir)
	}
	if err != nil {
		return "", "", err
	}
	// An app that runs as the server's user may have put links there.
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return dir, "", errors.Join(err, fmt.Errorf("%s was not a folder", a.path(string(k))))
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !entries[0].IsDir() {
		return dir, "", errors.Join(err, fmt.Errorf("%s held no checkout", a.path(string(k))))
	}
	commit = entries[0].Name()
	return dir, commit, os.Rename(filepath.Join(dir, commit), filepath.Join(dir, "tree"))
}

// Forget removes a checkout, if there is one.
func (a App) Forget(k Kept) error { return a.vol.discard(a.path(string(k))) }

// Keeps reports whether there is a checkout.
func (a App) Keeps(k Kept) bool {
	_, err := os.Lstat(a.path(string(k)))
	return !errors.Is(err, fs.ErrNotExist)
}
