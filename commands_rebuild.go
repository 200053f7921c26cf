package main

import (
	"errors"
	"os"
	"path/filepath"

	"paas/builder"
	"paas/deploy"
	"paas/say"
	"paas/volume"
)

// rebuild makes a new build of the live commit: for what has changed outside it, such as the tools on
// the server or what a version range in it stands for.
func rebuild(c *call) error {
	return c.again(volume.CauseRebuild, func(app volume.App) (volume.Release, string, error) {
		live, err := app.Release(app.Live())
		if err != nil {
			return live, "", err
		}
		if !c.serving() { // before anything is written
			return live, "", errNotServing
		}
		old, _ := app.Build(live.Build)
		if err := c.room().For(c.vol, old.Bytes, old.Files); err != nil {
			return live, "", err
		}
		note := ""
		if clear, _ := c.cmd.Flags().GetBool("clear-cache"); clear {
			note = "with an empty cache"
			if err := clearCache(app); err != nil {
				return live, "", err
			}
			say.Step(c.out, "The build cache of %s is empty", app.Name)
		}
		b, err := deploy.Rebuild(c, app, live)
		if err != nil {
			return live, "", err
		}
		deploy.Introduce(c.out, app, b)
		live.Build = b.ID // should it not be published, it is a build of no release, which the runtime removes
		return live, note, nil
	})
}

// clearCache empties the app's build cache, but for what its builds run with. The caller holds the turn,
// so nothing is being built.
func clearCache(app volume.App) error {
	grave, err := app.Volume().TempDir()
	if err != nil {
		return err
	}
	builds, err := app.Builds()
	var inUse []string
	for _, id := range builds {
		built, err := app.Built(id)
		if err != nil { // not complete: nothing runs in it
			continue
		}
		for _, value := range built.Env {
			inUse = append(inUse, filepath.SplitList(value)...)
		}
	}
	return errors.Join(err, builder.Clear(app.Cache(), grave, inUse), os.RemoveAll(grave))
}
