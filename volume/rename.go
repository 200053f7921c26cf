package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paas/durable"
)

// Rename gives the app another name, by one rename: kill -9 at any point leaves it under the old
// name or the new one, whole. A link takes the place of the old name, so that people who use it
// hear the new one, and paths of this server that a build without /app has kept stay true. The error is [fs.ErrExist] if
// there is an app of that name. The caller holds the app's turn.
func (v *Volume) Rename(a App, name string) (App, error) {
	if err := checkNew(name); err != nil {
		return App{}, err
	}
	b := App{vol: v, Name: name}
	if b.Exists() {
		return App{}, fmt.Errorf("app %s: %w", name, fs.ErrExist)
	}
	names := append(a.names(), a.Name)
	names = slices.DeleteFunc(names, func(former string) bool { return former == name })
	if err := v.WriteFile(a.path("names"), []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		return App{}, err
	}
	if err := b.unlink(); err != nil {
		return App{}, err
	}
	if err := os.Rename(a.Dir(), b.Dir()); err != nil {
		if b.Exists() { // rename returns ENOTEMPTY
			err = fmt.Errorf("app %s: %w", name, fs.ErrExist)
		}
		return App{}, err
	}
	err := errors.Join(durable.SyncDir(filepath.Dir(b.Dir())), b.takeNames())
	a.Ring()
	b.Ring()
	return b, err
}

// NewName returns what the app that had this name is called now; ok is false if none had it.
func (v *Volume) NewName(name string) (now string, ok bool) {
	if CheckName(name) != nil {
		return "", false
	}
	now, err := os.Readlink(App{vol: v, Name: name}.Dir())
	if err != nil || CheckName(now) != nil {
		return "", false
	}
	return now, App{vol: v, Name: now}.Exists()
}

// Former returns the names that the app had before, as far as they still lead to it.
func (a App) Former() []string {
	return slices.DeleteFunc(a.names(), func(name string) bool {
		now, _ := a.vol.NewName(name)
		return now != a.Name
	})
}

// names returns all names that the app had. The file is written before the rename, and may have the
// present one too.
func (a App) names() []string {
	content, _ := os.ReadFile(a.path("names")) // a lost name only leads nowhere
	return slices.DeleteFunc(strings.Fields(string(content)), func(name string) bool {
		return CheckName(name) != nil
	})
}

// takeNames ends a rename: the credentials and the links of the app's former names that nobody else
// has become its own.
func (a App) takeNames() error {
	var errs []error
	for _, name := range a.names() {
		old := App{vol: a.vol, Name: name}
		if name == a.Name || old.Exists() {
			continue
		}
		// also with a link: whoever made it may not have had the folder of the credentials
		if err := a.vol.Credentials(name).moveTo(a.vol.Credentials(a.Name)); err != nil {
			errs = append(errs, err)
		}
		if now, _ := a.vol.NewName(name); now == a.Name {
			continue
		}
		tmp, err := a.vol.temp()
		if err == nil {
			err = os.Symlink(a.Name, tmp)
		}
		if err == nil {
			err = os.Rename(tmp, old.Dir())
		}
		if err != nil && !old.Exists() { // else somebody has just made an app of that name
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Free makes a former name free for another app.
func (v *Volume) Free(name string) error { return App{vol: v, Name: name}.unlink() }

// unlink removes the link that takes the place of a former name, if there is one.
func (a App) unlink() error {
	if CheckName(a.Name) != nil {
		return nil
	}
	if _, err := os.Readlink(a.Dir()); err != nil { // an app, or nothing
		return nil
	}
	return os.Remove(a.Dir())
}

// isLink reports whether the app's name leads to an app of another name.
func (a App) isLink() bool {
	_, err := os.Readlink(a.Dir())
	return err == nil
}

// moveTo gives the credentials to another app, which has none. If there are none it does nothing.
func (c Credentials) moveTo(other Credentials) error {
	err := os.Rename(c.dir, other.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncDir(filepath.Dir(c.dir)))
}
