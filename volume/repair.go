package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Repair repairs what can be worked out from the rest of the app: missing folders, and the link to
// the live release. It logs each repair. The next deploy starts from what is live, so a maker calls
// Repair right after it has taken the app's turn.
func (a App) Repair() error {
	if !a.Exists() {
		return nil
	}
	for _, name := range folders {
		if _, err := os.Lstat(a.path(name)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := openFolder(a.path(name)); err != nil {
			return err
		}
		a.repaired(name, "the folder was missing; made an empty one")
	}
	if err := a.takeNames(); err != nil { // a rename was cut off
		return err
	}
	if a.Live() > 0 {
		return nil
	}
	_, err := os.Lstat(a.path("live"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	there := err == nil
	n, err := a.wasLive()
	if err != nil || n == 0 && !there {
		return err
	}
	if n == 0 {
		if err := a.vol.aside(a.path("live")); err != nil {
			return err
		}
		a.repaired("live", "the link led to no release, and none was ever live; moved it aside")
		return nil
	}
	if err := a.SetLive(n); err != nil {
		return err
	}
	a.repaired("live", fmt.Sprintf("the link to the live release was lost; v%d was live", n))
	a.Ring()
	return nil
}

// wasLive is the release that was live when the link was lost, 0 if none ever was.
func (a App) wasLive() (int, error) {
	accepted := 0
	for n, err := range a.History() {
		if err != nil {
			return 0, err
		}
		s, err := a.Status(n)
		switch {
		case err != nil:
			return 0, err
		case s.State == Live:
			return n, nil
		case accepted == 0 && a.Committed(n) && s.State != Failed && s.State != Cancelled:
			accepted = n // its state was about to be written, or is lost too
		}
	}
	return accepted, nil
}

// SetIdentity writes the id of an app that has lost it: id, by which a process knows the app, or a
// new one if id is empty. It does not change an id that is there. The caller holds the app's turn.
func (a App) SetIdentity(id string) error {
	if _, err := a.Identity(); !IsDamage(err) {
		return err
	}
	if id == "" {
		id = newIdentity()
	}
	if err := a.vol.WriteFile(a.path("id"), []byte(id), 0o644); err != nil {
		return err
	}
	a.repaired("id", "it was lost; written again")
	return nil
}

func (a App) repaired(file, what string) { a.vol.repaired(a.path(file), what) }

func (v *Volume) repaired(path, what string) {
	if file, err := filepath.Rel(v.Root, path); err == nil {
		path = file
	}
	v.log().Warn("repaired", "file", path, "how", what)
}

// aside renames what is in the way at path, and keeps it beside it.
func (v *Volume) aside(path string) error {
	to := path + ".aside-" + strings.ToLower(newIdentity()[:6])
	if err := v.move(path, to); err != nil {
		return err
	}
	v.repaired(path, "moved what was in its place to "+filepath.Base(to))
	return nil
}
