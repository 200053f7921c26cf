package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paas/volume"
)

// grantsFolder has what people were granted, in <identity of the app>/<person>: a right and a
// newline. So a rename keeps it, and a later app of the same name does not have it.
const grantsFolder = "grants"

func isAppID(id string) bool {
	return 8 <= len(id) && len(id) <= 64 && only(id, lower+upper+digits)
}

// AppID returns the app's identity, which is a name of a file here. It is an error if the app has
// lost it.
func AppID(app volume.App) (string, error) {
	id, err := app.Identity()
	id = strings.TrimSpace(id)
	if err == nil && !isAppID(id) {
		err = fmt.Errorf("%s has no identity", app.Name)
	}
	return id, err
}

// granted returns what the person was granted. Keys of an earlier version that could not be
// migrated yet, such as on a full disk, can do what they could.
func (r Rights) granted(id, person string, role Right) (has Right, err error) {
	content, err := os.ReadFile(filepath.Join(r.Dir, grantsFolder, id, person))
	switch {
	case errors.Is(err, fs.ErrNotExist) && role == Member && !r.migrated():
		return Manage, nil
	case errors.Is(err, fs.ErrNotExist):
		return None, nil
	case err != nil:
		return None, err
	}
	if err := has.UnmarshalText([]byte(strings.TrimSpace(string(content)))); err != nil || !has.OnApp() {
		return None, fmt.Errorf("%s/%s/%s: no right", grantsFolder, id, person)
	}
	return has, nil
}

// Grant gives a person a right with the app, in place of the one they had.
func (r Rights) Grant(app volume.App, person string, right Right) error {
	if err := r.Migrate(); err != nil {
		return err
	}
	unlock, err := lock(r.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.knows(person); err != nil {
		return err
	}
	id, err := AppID(app)
	if err != nil {
		return err
	}
	return r.grant(id, person, right)
}

func (r Rights) grant(id, person string, right Right) error {
	return replace(r.Dir, filepath.Join(grantsFolder, id, person), []byte(right.String()+"\n"))
}

// knows returns an error if nobody has that name.
func (k *Keys) knows(person string) error {
	role, err := k.RoleOf(person)
	if err == nil && role == None {
		err = fmt.Errorf("nobody is called %.80q here", person)
	}
	return err
}

// Grant is what a person may do with an app.
type Grant struct {
	Who   string `json:"who"`
	Right Right  `json:"right"`
	Admin bool   `json:"admin,omitempty"` // of the server, and so of every app
}

// Grants returns who may do what with the app, by name.
func (r Rights) Grants(app volume.App) (grants []Grant, err error) {
	id, err := AppID(app)
	if err != nil {
		return nil, err
	}
	keys, err := r.list("")
	for i, key := range keys {
		if i > 0 && keys[i-1].Name == key.Name {
			continue
		}
		g := Grant{Who: key.Name, Right: Manage, Admin: key.Role == Admin}
		if !g.Admin {
			var one error
			if g.Right, one = r.granted(id, key.Name, key.Role); one != nil {
				err = errors.Join(err, one)
			}
		}
		if g.Right > None {
			grants = append(grants, g)
		}
	}
	return grants, err
}

// Revoke takes from a person what they were granted with the app. It is an error if that is nothing.
func (r Rights) Revoke(app volume.App, person string) error {
	if err := r.Migrate(); err != nil {
		return err
	}
	unlock, err := lock(r.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	id, err := AppID(app)
	if err != nil {
		return err
	}
	file := filepath.Join(grantsFolder, id, person)
	if _, err := os.Lstat(filepath.Join(r.Dir, file)); err != nil || !isName(person) {
		return fmt.Errorf("%.80q was granted nothing with %s", person, app.Name)
	}
	return remove(r.Dir, file)
}

// Forget removes all that was granted with the app of that identity, which is destroyed.
func (r Rights) Forget(id string) error {
	if !isAppID(id) {
		return nil
	}
	return os.RemoveAll(filepath.Join(r.Dir, grantsFolder, id))
}

// Sweep removes the grants of apps that are no more: whoever destroyed one may not have had them.
func (r Rights) Sweep() error {
	entries, err := os.ReadDir(filepath.Join(r.Dir, grantsFolder))
	if err != nil || len(entries) == 0 {
		return nil
	}
	unlock, err := lock(r.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	names, err := r.Volume.Apps()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, name := range names {
		app, err := r.Volume.App(name)
		if err != nil { // it may just get another name
			return err
		}
		id, err := AppID(app)
		if err != nil { // it may be restored from a backup
			return err
		}
		known[id] = true
	}
	for _, e := range entries {
		if !known[e.Name()] {
			err = errors.Join(err, r.Forget(e.Name()))
		}
	}
	return err
}

// forgetGrants removes all that was granted to a person.
func (k *Keys) forgetGrants(person string) error {
	entries, err := os.ReadDir(filepath.Join(k.Dir, grantsFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, remove(k.Dir, filepath.Join(grantsFolder, e.Name(), person)))
	}
	return err
}
