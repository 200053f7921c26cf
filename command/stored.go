package command

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"paas/volume"
)

// StorageInfo is a folder of an app's tree whose files are kept across releases, or were.
type StorageInfo struct {
	Path  string    `json:"path"`
	Bytes int64     `json:"bytes"`
	Since time.Time `json:"since,omitzero"`
	By    string    `json:"by,omitempty"` // what asks for it: settings or app.json; empty: nothing
}

const bySettings, byFile = "settings", "app.json"

// keeper tells people what asks for the folder.
func (s StorageInfo) keeper() string {
	switch s.By {
	case bySettings:
		return "storage:add"
	case "":
		return "not used now; storage:remove --delete removes its files"
	}
	return s.By
}

// storageOf lists the folders that are kept, will be, or were, in the order of their paths.
func storageOf(app volume.App) (list []StorageInfo, err error) {
	stored, err := app.Stored()
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		list = append(list, StorageInfo{Path: s.Path, Bytes: s.Bytes, Since: s.Since})
	}
	set, inFile, err := keptBy(app)
	if err != nil {
		return nil, err
	}
	note := func(folders []string, by string) {
		for _, folder := range folders {
			at := slices.IndexFunc(list, func(s StorageInfo) bool { return s.Path == folder })
			if at < 0 {
				at, list = len(list), append(list, StorageInfo{Path: folder})
			}
			list[at].By = by
		}
	}
	note(inFile, byFile)
	note(set, bySettings)
	slices.SortFunc(list, func(a, b StorageInfo) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// keptBy returns the folders that the app's settings keep, and those that its live release keeps
// by app.json.
func keptBy(app volume.App) (set, inFile []string, err error) {
	s, err := app.Settings()
	if err != nil || app.Live() == 0 {
		return s.Storage, nil, err
	}
	r, err := app.Release(app.Live())
	if err != nil || r.OnlyFiles() {
		return s.Storage, nil, err
	}
	file, err := fileOf(app, r)
	if errors.Is(err, fs.ErrNotExist) { // its tree is lost: a person has to repair it, or roll back
		err = nil
	}
	return s.Storage, file.Storage, err
}

// keepStorage makes a rollback keep what is kept now: the files must not vanish in an emergency.
func keepStorage(app volume.App, r *volume.Release) error {
	set, inFile, err := keptBy(app)
	if volume.IsDamage(err) { // it must not keep a rollback from the way out
		return nil
	}
	if err != nil {
		return err
	}
	kept := slices.Concat(set, inFile, r.Settings.Storage)
	r.Settings.Storage = nil
	for _, folder := range kept {
		// one that overlaps with a folder that is kept now is not kept
		if more, err := volume.AddStorage(r.Settings.Storage, folder); err == nil {
			r.Settings.Storage = more
		}
	}
	return nil
}
