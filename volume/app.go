package volume

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// App is one app's part of the volume. It is a value: cheap to copy, and it holds nothing open.
type App struct {
	Name string
	vol  *Volume
}

// The logs that the front writes, named like those of processes. No process has the number 0.
const (
	RequestLog = "router.0" // a line for each request
	FrontLog   = "router.1" // what the front says to the app's owner
)

// The paths of an app's files: see the drawing in the package's doc.

func (a App) Dir() string     { return filepath.Join(a.vol.Root, "apps", a.Name) }
func (a App) Repo() string    { return a.path("repo.git") }
func (a App) Data() string    { return a.path("data") }
func (a App) Cache() string   { return a.path("cache") }
func (a App) Logs() string    { return a.path("logs") }
func (a App) Volume() *Volume { return a.vol }

// Worktree is the folder that holds the commit in the modes watch and worktree. WorktreeState is the file that
// records which commit that is, and whether it is being changed now.
func (a App) Worktree() string      { return a.path("worktree") }
func (a App) WorktreeState() string { return a.path("worktree.json") }

func (a App) path(elem ...string) string {
	return filepath.Join(append([]string{a.Dir()}, elem...)...)
}

// tell writes value into a file of the app, and rings. It rings only after a write that succeeded:
// the bell wakes the writer too, which must not try again at once while the disk is full.
func (a App) tell(file string, value any) error {
	err := a.vol.writeJSON(a.path(file), value, 0o644)
	if err == nil {
		a.Ring()
	}
	return err
}

// Exists reports whether the app still exists under its name.
func (a App) Exists() bool { return isFolder(a.Dir()) }

// Empty reports whether the app has nothing yet: no release, and no setting, formation, limit or
// source that a person gave it.
func (a App) Empty() (bool, error) {
	for _, file := range []string{"settings.json", "wanted.json", "source.json"} {
		if _, err := os.Lstat(a.path(file)); !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	last, err := a.Last()
	return last == 0, err
}

// Identity tells this app from an earlier one of the same name; it is empty if there is no app. An
// error does not mean that the app is gone: there may be too many open files. It is [Damage] if the
// app has lost its id.
func (a App) Identity() (string, error) {
	id, err := os.ReadFile(a.path("id"))
	switch {
	case a.isLink(): // it was renamed
		return "", nil
	case errors.Is(err, fs.ErrNotExist):
		if !a.Exists() {
			// the whole volume may be: moved, or not mounted
			_, away := os.Stat(filepath.Dir(a.Dir()))
			return "", away
		}
		err = errNoFile
	case err == nil && len(bytes.TrimSpace(id)) == 0:
		err = errEmpty
	}
	return string(id), a.vol.damage(a.path("id"), err, "the server writes it again")
}

// Named returns since when the app has its name; the zero Time if that is not known.
func (a App) Named() (at time.Time) {
	for _, file := range []string{"id", "names"} { // written when it was made, and when it got the name
		if info, err := os.Stat(a.path(file)); err == nil && info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at
}

func newIdentity() string { return rand.Text() }
