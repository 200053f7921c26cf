package access

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paas/durable"
)

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
	id, err := AppID(app)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, id)
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
