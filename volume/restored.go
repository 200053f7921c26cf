package volume

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"paas/durable"
)

// Restored is what is left to do for an app that came back from a backup. Until then nothing of it
// runs, it answers at no domain of its own, and it follows nothing.
type Restored struct {
	At     time.Time `json:"at"`     // when it came back
	Backup time.Time `json:"backup"` // when the backup was made
	// Live is the release that was live; 0: none was.
	Live int `json:"live,omitempty"`
	// Stopped is whether the app was stopped.
	Stopped bool `json:"stopped,omitempty"`
	// Settings are those for the release after the one that was live.
	Settings Settings `json:"settings"`
	// Names are the host names that it had.
	Names Names `json:"names,omitzero"`
	// Source is what it followed; nil: nothing.
	Source *Source `json:"source,omitempty"`
}

// Restored returns what is left to do for an app that came back from a backup; ok is false if
// nothing is.
func (a App) Restored() (r Restored, ok bool, err error) {
	r, err = read[Restored](a, "restored/left.json", "delete it: then push the app again")
	if errors.Is(err, fs.ErrNotExist) {
		return Restored{}, false, nil
	}
	return r, err == nil, err
}

// Origin returns the identity of the app whose backup this one is; empty if it is none, or the same app.
func (a App) Origin() string {
	id, _ := os.ReadFile(a.path("origin"))
	return string(id)
}

// TakeRestored gives the app the credentials that came back with it. Calling it again is harmless.
func (a App) TakeRestored() error {
	dir := a.path("restored", "credentials")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		var content []byte
		if content, err = os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			err = a.vol.Credentials(a.Name).Set(Credential(e.Name()), content)
		}
		if err != nil {
			break
		}
	}
	return err
}

// EndRestored records that nothing is left to do. The caller holds the app's turn.
func (a App) EndRestored() error {
	err := a.vol.discard(a.path("restored"))
	if err == nil {
		a.Ring()
	}
	return err
}

// Stage makes the folders of an app in dir, a folder made by [Volume.TempDir], with what a backup
// knows of it. What else is there, such as repositories, data and storage, is the caller's.
func (v *Volume) Stage(dir string, s Staged) error {
	for _, name := range folders {
		if err := openFolder(dir + "/" + name); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir+"/restored", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	err := errors.Join(
		durable.Create(dir+"/id", []byte(cmp.Or(s.ID, newIdentity())), 0o644),
		v.writeJSON(dir+"/wanted.json", s.Wanted, 0o600),
		v.writeJSON(dir+"/settings.json", s.Settings, 0o600),
		v.writeJSON(dir+"/restored/left.json", s.Restored, 0o600),
	)
	if err == nil && s.Origin != "" {
		err = durable.Create(dir+"/origin", []byte(s.Origin), 0o644)
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// Staged is what a backup knows of an app.
type Staged struct {
	ID       string // its identity; empty: a new one
	Origin   string // the identity of the app that was backed up; empty: ID
	Settings Settings
	Wanted   Wanted
	Restored Restored
}

// StageRelease writes a release into the folder of a staged app. Its state is one that is over.
func (v *Volume) StageRelease(dir string, r Release, s Status) error {
	at := dir + "/releases/" + r.String()[1:]
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	return errors.Join(
		v.writeJSON(at+"/release.json", r, 0o600), v.writeJSON(at+"/status.json", s, 0o644),
	)
}
