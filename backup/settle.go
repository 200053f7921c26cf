package backup

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"paas/access"
	"paas/durable"
	"paas/volume"
)

// folder is where a whole server that was restored waits, below the root, until it is in its place. To
// rename it there is the one step that makes the restore happen.
func folder(v *volume.Volume) string { return filepath.Join(v.Root, "restored") }

// Commit makes the restore of a whole server happen, which Unpack read into dir. If not everything, its
// host key, certificates and settings file are left out. Call [Settle] next: also after a crash.
func Commit(v *volume.Volume, dir string, u *Unpacked, everything bool) error {
	if !everything {
		for _, name := range []string{stagedHostKey, stagedConfig, stagedCerts} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	content, err := json.Marshal(u.Access)
	if err == nil {
		err = durable.Create(filepath.Join(dir, stagedAccess), content, 0o600)
	}
	if err == nil {
		err = durable.Flush(dir)
	}
	if err == nil {
		err = os.Rename(dir, folder(v))
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(v.Root)
}

// Settled is what Settle moved into its place.
type Settled struct {
	Apps    []string
	Here    []string // people who kept their keys, and got none of the backup's
	HostKey bool
	Config  bool // the settings file is there as paas.yaml.restored
}

// Settle moves a whole server that was restored into its place; it does nothing if none was. A crash
// leaves the rest to the next call.
func Settle(v *volume.Volume, keys *access.Keys) (s Settled, err error) {
	from := folder(v)
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	content, err := os.ReadFile(filepath.Join(from, stagedAccess))
	if err == nil {
		var e access.Export
		if err = json.Unmarshal(content, &e); err == nil {
			s.Here, err = keys.Import(e)
		}
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		s.HostKey, err = move(filepath.Join(from, stagedHostKey), filepath.Join(keys.Dir, "host_ed25519"))
	}
	if err == nil {
		s.Config, err = move(filepath.Join(from, stagedConfig), filepath.Join(v.Root, "paas.yaml.restored"))
	}
	for _, part := range []string{"accounts", "acme", "own"} {
		dir := filepath.Join(from, stagedCerts, part)
		files, listErr := names(dir)
		err = errors.Join(err, listErr)
		for _, name := range files {
			if err == nil {
				_, err = move(filepath.Join(dir, name), filepath.Join(v.Root, "certs", part, name))
			}
		}
	}
	apps, listErr := names(filepath.Join(from, stagedApps))
	err = errors.Join(err, listErr)
	for _, name := range apps {
		if err == nil {
			err = os.Rename(Place(from, name), filepath.Join(v.Root, "apps", name))
		}
		if err == nil {
			s.Apps = append(s.Apps, name)
		}
	}
	if len(s.Apps) > 0 {
		err = errors.Join(err, durable.SyncDir(filepath.Join(v.Root, "apps")))
	}
	for _, name := range s.Apps {
		if app, err := v.App(name); err == nil {
			app.Ring()
		}
	}
	if err == nil {
		err = v.RemoveTemp(from)
	}
	return s, err
}

// move moves a file, if it is there. The folders may be on different file systems.
func move(from, to string) (moved bool, err error) {
	content, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = durable.Replace(to, to+".new", content, 0o600)
	}
	if err == nil {
		err = os.Remove(from)
	}
	return err == nil, err
}

// names lists a folder; nothing if it is not there.
func names(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// Place returns the folder of an unpacked app in dir.
func Place(dir, app string) string { return filepath.Join(dir, stagedApps, app) }
