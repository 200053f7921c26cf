package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paas/durable"
	"paas/volume"
)

// Rights decides who may do what. Nothing else does. What a person was granted with an app is in
// DIR/grants/<identity of the app>/<person>: a right and a newline. So a rename keeps it, and a
// later app of the same name does not have it.
type Rights struct{ *Keys }

const grantsFolder = "grants"

// Denied is the error for somebody who may see the app, or has to do with the server, but may not
// do this.
type Denied struct {
	Who        string
	App        string // empty: it is about the server
	Has, Needs Right
}

func (d *Denied) Error() string {
	switch {
	case d.Needs == Guest:
		return "this needs a key; a token will not do"
	case d.App == "":
		return fmt.Sprintf("this is for %ss; %s is not one", d.Needs, d.Who)
	}
	return fmt.Sprintf("%s may %s %s, and this needs the right to %s it", d.Who, d.Has, d.App, d.Needs)
}

// Remedied returns what somebody who may can do about it.
func (d *Denied) Remedied() volume.Remedy {
	if d.App == "" {
		return volume.Remedy{}
	}
	return volume.Remedy{Do: volume.GrantRight, App: d.App, With: d.Who + " " + d.Needs.String()}
}

// Admit returns the app of that name if who may do now what needs the right. The error is a
// [*Denied]; or wraps [volume.ErrNoApp], for an app that who may not even see too; or says that
// what proved the identity does not count any more. It names no app that who may not see.
func (r Rights) Admit(who Identity, needs Right, name string) (volume.App, error) {
	s, err := r.standing(who)
	if err != nil {
		return volume.App{}, err
	}
	app, err := r.Volume.App(name)
	has := None
	if err == nil {
		has, err = r.on(app, s)
	}
	switch {
	case has == None && (err == nil || errors.Is(err, volume.ErrNoApp)):
		return volume.App{}, r.noApp(s, name)
	case err != nil:
		return volume.App{}, err
	case has < needs:
		return volume.App{}, &Denied{Who: who.Name, App: name, Has: has, Needs: needs}
	}
	return app, nil
}

// AdmitToServer returns a [*Denied] if who may not do what needs the right on the server.
func (r Rights) AdmitToServer(who Identity, needs Right) error {
	s, err := r.standing(who)
	if err == nil && s.server < needs {
		err = &Denied{Who: who.Name, Has: s.server, Needs: needs}
	}
	return err
}

// Role returns what who may do on the server; None if what proved the identity does not count.
func (r Rights) Role(who Identity) Right {
	s, err := r.standing(who)
	if err != nil {
		return None
	}
	return s.server
}

// on decides what somebody may do with an app.
func (r Rights) on(app volume.App, s standing) (Right, error) {
	if s.owner == Admin && s.apps == nil {
		return s.most, nil
	}
	id, err := app.Identity()
	if err != nil || id == "" {
		return None, err
	}
	id = strings.TrimSpace(id)
	if s.apps != nil && !slices.Contains(s.apps, id) {
		return None, nil
	}
	has := Manage
	if s.owner != Admin {
		has, err = r.granted(id, s.person, s.owner)
	}
	return min(has, s.most), err
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

// noApp is the error for an app that is not there for somebody. It suggests only what they may see.
func (r Rights) noApp(s standing, name string) error {
	known, err := r.visible(s)
	if err != nil {
		return err
	}
	return r.Volume.NoApp(name, known)
}

// Apps returns the names of all apps that who may see, sorted.
func (r Rights) Apps(who Identity) ([]string, error) {
	s, err := r.standing(who)
	if err != nil {
		return nil, err
	}
	return r.visible(s)
}

func (r Rights) visible(s standing) (names []string, err error) {
	all, err := r.Volume.Apps()
	if err != nil || s.owner == Admin && s.apps == nil {
		return all, err
	}
	for _, name := range all {
		app, err := r.Volume.App(name)
		if err != nil {
			continue // destroyed since
		}
		if has, err := r.on(app, s); err == nil && has >= View {
			names = append(names, name)
		}
	}
	return names, nil
}

// MayCreate returns why who may not make an app of that name. The error is that of an app that does
// not exist for those who may make none; or wraps [fs.ErrExist] if the name is not free.
func (r Rights) MayCreate(who Identity, name string) error {
	s, err := r.standing(who)
	if err == nil && s.server < Member {
		err = r.noApp(s, name)
	}
	if err == nil {
		err = r.free(s, name)
	}
	return err
}

// MayTake returns an error that wraps [fs.ErrExist] if who cannot give an app that name.
func (r Rights) MayTake(who Identity, name string) error {
	s, err := r.standing(who)
	if err == nil {
		err = r.free(s, name)
	}
	return err
}

// free returns an error if there is an app of that name, or one that had it: people may still use
// the old name, so only those who manage that app can take it.
func (r Rights) free(s standing, name string) error {
	app, err := r.Volume.App(name)
	if now, ok := r.Volume.NewName(name); ok {
		if app, err = r.Volume.App(now); err == nil {
			if has, err := r.on(app, s); err == nil && has == Manage {
				return nil
			}
		}
	}
	if err == nil {
		return fmt.Errorf("app %s: %w", name, fs.ErrExist)
	}
	return nil
}

// Create makes an app, which its maker manages. For the error see [Rights.MayCreate].
func (r Rights) Create(who Identity, name string) (volume.App, error) {
	if err := r.MayCreate(who, name); err != nil {
		return volume.App{}, err
	}
	s, err := r.standing(who)
	if err != nil {
		return volume.App{}, err
	}
	unlock, err := lock(r.Dir) // so that no sweep takes the grant before there is the app
	if err != nil {
		return volume.App{}, err
	}
	defer unlock()
	return r.Volume.Create(name, func(id string) error {
		if s.person == "" {
			return nil
		}
		return r.grant(id, s.person, Manage)
	})
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
	id, err := app.Identity()
	if err != nil {
		return err
	}
	return r.grant(strings.TrimSpace(id), person, right)
}

func (r Rights) grant(id, person string, right Right) error {
	return replace(r.Dir, filepath.Join(grantsFolder, id, person), []byte(right.String()+"\n"))
}

// knows returns an error if nobody has that name.
func (k *Keys) knows(person string) error {
	keys, err := k.list(person)
	if err == nil && (len(keys) == 0 || !personName.MatchString(person)) {
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
	id, err := app.Identity()
	if err != nil {
		return nil, err
	}
	keys, err := r.List()
	for i, key := range keys {
		if i > 0 && keys[i-1].Name == key.Name {
			continue
		}
		g := Grant{Who: key.Name, Right: Manage, Admin: key.Role == Admin}
		if !g.Admin {
			var one error
			if g.Right, one = r.granted(strings.TrimSpace(id), key.Name, key.Role); one != nil {
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
	id, err := app.Identity()
	if err != nil {
		return err
	}
	file := filepath.Join(grantsFolder, strings.TrimSpace(id), person)
	if _, err := os.Lstat(filepath.Join(r.Dir, file)); err != nil || !personName.MatchString(person) {
		return fmt.Errorf("%.80q was granted nothing with %s", person, app.Name)
	}
	return remove(r.Dir, file)
}

// Sweep removes the grants of apps that are no more.
func (r Rights) Sweep() error {
	unlock, err := lock(r.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(filepath.Join(r.Dir, grantsFolder))
	if err != nil || len(entries) == 0 {
		return nil
	}
	names, err := r.Volume.Apps()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, name := range names {
		app, err := r.Volume.App(name)
		if err != nil {
			continue
		}
		id, err := app.Identity()
		if err != nil { // it may be restored from a backup
			return err
		}
		known[strings.TrimSpace(id)] = true
	}
	for _, e := range entries {
		if !known[e.Name()] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(r.Dir, grantsFolder, e.Name())))
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

func (k *Keys) migrated() bool {
	_, err := os.Lstat(filepath.Join(k.Dir, grantsFolder))
	return err == nil
}

// Migrate lets keys of a version that knew no rights do what they could: it grants members, as
// those are called now that were no admins, all apps that there are. It does nothing the second
// time. It logs what it did.
func (k *Keys) Migrate() error {
	if k.migrated() {
		return nil
	}
	unlock, err := lock(k.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if k.migrated() {
		return nil
	}
	keys, err := k.List()
	if err != nil {
		return err
	}
	var members []string
	for _, key := range keys {
		if key.Role == Member && !slices.Contains(members, key.Name) {
			members = append(members, key.Name)
		}
	}
	tmp, err := tmpFile(k.Dir, grantsFolder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	var apps []string
	if k.Volume != nil && len(members) > 0 {
		if apps, err = k.Volume.Apps(); err != nil {
			return err
		}
	}
	for _, name := range apps {
		if err := k.grantAll(tmp, name, members); err != nil {
			return err
		}
	}
	if err := durable.Flush(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(k.Dir, grantsFolder)); err != nil {
		return err
	}
	if len(members) > 0 {
		k.log().Warn("keys have roles now: those that are no admins are members, who manage each app "+
			"that there is, and the apps that they make", "members", strings.Join(members, " "),
			"apps", strings.Join(apps, " "))
	}
	return durable.SyncDir(k.Dir)
}

// grantAll lets people manage the app, in the grants below dir.
func (k *Keys) grantAll(dir, name string, people []string) error {
	app, err := k.Volume.App(name)
	if err != nil {
		return nil // destroyed since
	}
	id, err := app.Identity()
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, strings.TrimSpace(id))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, person := range people {
		if err := os.WriteFile(filepath.Join(dir, person), []byte("manage\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}
