package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
	if err := durable.Create(filepath.Join(dir, "commit"), []byte(commit+"\n"), 0o600); err != nil {
		return err
	}
	if err := a.Forget(k); err != nil {
		return err
	}
	if err := os.Rename(dir, a.path(string(k))); err != nil {
		return err
	}
	return durable.SyncDir(a.Dir())
}

// TakeKept moves a checkout out of the app, to a folder like those of [Volume.TempDir], and returns
// its commit. The error is [fs.ErrNotExist] if there is none. It is one rename: of several callers,
// one gets the checkout.
func (a App) TakeKept(k Kept) (dir, commit string, err error) {
	dir, err = a.vol.temp()
	if err == nil {
		err = os.Rename(a.path(string(k)), dir)
	}
	if err != nil {
		return "", "", err
	}
	file := filepath.Join(dir, "commit")
	content, err := os.ReadFile(file)
	return dir, strings.TrimSpace(string(content)), errors.Join(err, os.Remove(file))
}

// Forget removes a checkout, if there is one.
func (a App) Forget(k Kept) error { return a.vol.discard(a.path(string(k))) }

// Keeps reports whether there is a checkout.
func (a App) Keeps(k Kept) bool {
	_, err := os.Lstat(a.path(string(k)))
	return !errors.Is(err, fs.ErrNotExist)
}
