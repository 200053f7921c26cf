package access

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"paas/volume"
)

// Rights decides who may do what. Nothing else does.
type Rights struct{ *Keys }

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
	if err != nil && !errors.Is(err, volume.ErrNoApp) {
		return volume.App{}, err
	}
	has := None
	if err == nil {
		has = r.on(app, s)
	}
	switch {
	case has == None:
		return volume.App{}, r.noApp(s, name)
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

// on decides what somebody may do with an app. What cannot be read is no right, and is logged.
func (r Rights) on(app volume.App, s standing) Right {
	if s.owner == Admin && s.apps == nil {
		return s.most
	}
	id, err := AppID(app)
	if err == nil && s.apps != nil && !slices.Contains(s.apps, id) {
		return None
	}
	has := Manage
	if err == nil && s.owner != Admin {
		has, err = r.granted(id, s.person, s.owner)
	}
	if err != nil {
		r.log().Error("rights not read", "app", app.Name, "who", s.person, "err", err)
		return None
	}
	return min(has, s.most)
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
		if r.on(app, s) >= View {
			names = append(names, name)
		}
	}
	return names, nil
}

// MayCreate returns why who may not make an app of that name. The error is that of an app that does
// not exist for those who may make none; or wraps [fs.ErrExist] if the name is not free.
func (r Rights) MayCreate(who Identity, name string) error {
	_, err := r.maker(who, name)
	return err
}

// maker returns the standing of who, if it may make an app of that name.
func (r Rights) maker(who Identity, name string) (standing, error) {
	s, err := r.standing(who)
	if err == nil && s.server < Member {
		err = r.noApp(s, name)
	}
	if err == nil {
		err = r.free(s, name)
	}
	return s, err
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
	_, err := r.Volume.App(name)
	if now, ok := r.Volume.NewName(name); ok {
		var app volume.App
		if app, err = r.Volume.App(now); err == nil && r.on(app, s) == Manage {
			return nil
		}
	}
	if err == nil {
		return fmt.Errorf("app %s: %w", name, fs.ErrExist)
	}
	return nil
}

// Create makes an app, which its maker manages. For the error see [Rights.MayCreate].
func (r Rights) Create(who Identity, name string) (volume.App, error) {
	return r.create(who, name, r.Volume.Create)
}

// CreateFrom is [Rights.Create] for an app whose folder is dir already: see [volume.Volume.Stage].
func (r Rights) CreateFrom(who Identity, name, dir string) (volume.App, error) {
	return r.create(who, name, func(name string, before ...func(string) error) (volume.App, error) {
		return r.Volume.CreateFrom(name, dir, before...)
	})
}

func (r Rights) create(
	who Identity, name string, create func(string, ...func(string) error) (volume.App, error),
) (volume.App, error) {
	s, err := r.maker(who, name)
	if err != nil {
		return volume.App{}, err
	}
	if err := r.Migrate(); err != nil {
		return volume.App{}, err
	}
	unlock, err := lock(r.Dir) // so that no sweep takes the grant before there is the app
	if err != nil {
		return volume.App{}, err
	}
	defer unlock()
	return create(name, func(id string) error {
		if s.person == "" {
			return nil
		}
		return r.grant(id, s.person, Manage)
	})
}
