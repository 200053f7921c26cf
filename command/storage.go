package command

import (
	"fmt"
	"slices"

	"paas/access"
	"paas/say"
	"paas/volume"
)

func storageRows() []Row {
	return []Row{
		Verb[appInput, []StorageInfo]{
			Head: Head{
				Name: "storage", Group: Config, Needs: access.View,
				Example: "blog",
				Short:   "list the folders of an app's tree that are kept across releases",
			},
			Run: showStorage,
			Text: func(p *Page, stored []StorageInfo) {
				if len(stored) == 0 {
					p.line("each release has the folders of its commit; storage:add APP FOLDER keeps one")
					return
				}
				list(p, stored, "FOLDER\tSIZE\tSINCE\tKEPT BY", func(s StorageInfo) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s", s.Path, say.Bytes(s.Bytes), when(s.Since), s.keeper())
				})
			},
		},
		Stream[addStorageInput, Progress]{
			Head: Head{
				Name: "storage:add", Group: Config, Needs: access.Operate,
				Example: "blog public/uploads",
				Short:   "keep a folder of the tree across releases: a new release of the same build",
			},
			Run:  addStorage,
			Text: printProgress,
		},
		Stream[removeStorageInput, Progress]{
			Head: Head{
				Name: "storage:remove", Group: Config, Needs: access.Operate,
				Example: "blog public/uploads",
				Short:   "keep a folder no longer: a new release; its files stay on the server until --delete",
			},
			Run:  removeStorage,
			Text: printProgress,
		},
	}
}

func showStorage(c *Call, in appInput) ([]StorageInfo, error) {
	app, err := c.App(in.App)
	if err != nil {
		return nil, err
	}
	list, err := storageOf(app)
	return listed(list), err
}

type addStorageInput struct {
	App    string `json:"app" arg:"APP"`
	Folder string `json:"folder" arg:"FOLDER"`
}

func addStorage(c *Call, in addStorageInput, events Teller[Progress]) error {
	add := func(app volume.App, kept []string) (changed []string, note string, err error) {
		_, inFile, err := keptBy(app)
		if err != nil {
			return nil, "", err
		}
		if changed, err = volume.AddStorage(kept, in.Folder); err != nil {
			return nil, "", wrong("folder", "%w", err)
		}
		for _, folder := range inFile {
			if _, err := volume.AddStorage(changed, folder); err != nil {
				return nil, "", wrong("folder", "app.json: %w", err)
			}
		}
		return changed, "keep " + in.Folder, nil
	}
	return c.changeStorage(in.App, progress{events}, add)
}

type removeStorageInput struct {
	App    string `json:"app" arg:"APP"`
	Folder string `json:"folder" arg:"FOLDER"`
	Delete bool   `json:"delete" flag:"delete" help:"remove its files for ever"`
}

func removeStorage(c *Call, in removeStorageInput, events Teller[Progress]) error {
	p := progress{events}
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	known, err := storageOf(app)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(known, func(s StorageInfo) bool { return s.Path == in.Folder })
	switch {
	case at < 0:
		return &Fault{
			Kind: NotFound, Field: "folder",
			Err: fmt.Errorf("%s keeps no folder %s", app.Name, plain(in.Folder)),
		}
	case known[at].By == byFile:
		return conflict("take it out there and push; then this can remove its files",
			"app.json of what is live keeps %s", in.Folder)
	case known[at].By == bySettings:
		err = c.changeStorage(app.Name, p, func(_ volume.App, kept []string) ([]string, string, error) {
			kept = slices.DeleteFunc(slices.Clone(kept), func(f string) bool { return f == in.Folder })
			return kept, "keep " + in.Folder + " no longer", nil
		})
	}
	switch {
	case err != nil || known[at].Since.IsZero(): // no process has ever seen it
		return err
	case !in.Delete:
		p.answer("the files stay: %s; to remove them: storage:remove %s %s --delete",
			say.Bytes(known[at].Bytes), app.Name, in.Folder)
		return nil
	}
	app, done, err := c.turn(app.Name)
	if err != nil {
		return err
	}
	defer done()
	set, inFile, err := keptBy(app)
	if err != nil {
		return err
	}
	if slices.Contains(slices.Concat(set, inFile), in.Folder) {
		return conflict("", "%s is kept again", in.Folder)
	}
	if err := app.RemoveStored(in.Folder); err != nil {
		return err
	}
	c.did(app.Name, "removed the files of "+in.Folder)
	p.answer("removed the files of %s: %s", in.Folder, say.Bytes(known[at].Bytes))
	return nil
}

// changeStorage makes a release of the live build that keeps other folders of its tree. If no
// release is live yet, the first one does.
func (c *Call) changeStorage(
	name string, p progress,
	change func(app volume.App, kept []string) (changed []string, note string, err error),
) error {
	app, done, err := c.turn(name)
	if err != nil {
		return err
	}
	defer done()
	s, err := app.Settings()
	if err != nil {
		return err
	}
	if mode := s.ModeOr(c.Mode); mode != volume.ByRelease {
		return conflict("", "%s is in mode %s: its folder stays in place, "+
			"with the files that the app writes there", app.Name, mode)
	}
	changed, note, err := change(app, s.Storage)
	if err != nil {
		return err
	}
	if slices.Equal(changed, s.Storage) {
		p.answer("nothing changes")
		return nil
	}
	live := app.Live()
	if live == 0 {
		s.Storage = changed
		if err := app.SetSettings(s); err != nil {
			return err
		}
		c.did(app.Name, note)
		p.answer("%s; for the first release of %s", note, app.Name)
		return nil
	}
	if err := c.DiskSpace.Check(c.Volume, 0, 0); err != nil {
		return err
	}
	base, err := app.Release(live)
	if err != nil {
		return err
	}
	base.Of = 0
	if err := takeConfig(app, &base); err != nil {
		return err
	}
	base.Settings.Storage = changed
	if err := app.CheckStorage(base, changed); err != nil {
		return wrong("folder", "%w", err)
	}
	return c.release(app, base, volume.CauseConfig, note, p)
}
