package command

import (
	"errors"
	"os"
	"path/filepath"

	"paas/builder"
	"paas/deploy"
	"paas/volume"
)

func rebuildRows() []Row {
	return []Row{
		Stream[rebuildInput, Progress]{
			Head: Head{Name: "ps:rebuild", Short: `rebuild the live commit; use it when git push says "Everything up-to-date"`, Group: Running},
			Run:  rebuild,
			Text: printProgress,
		},
	}
}

type rebuildInput struct {
	App        string `json:"app" arg:"APP"`
	ClearCache bool   `json:"clear_cache" flag:"clear-cache" help:"empty the app's build cache first"`
}

// rebuild makes a new build of the live commit: for what has changed outside it, such as the tools on
// the server or what a version range in it stands for.
func rebuild(c *Call, in rebuildInput, events Teller[Progress]) error {
	p := progress{events}
	return c.again(in.App, volume.CauseRebuild, p, func(app volume.App) (volume.Release, string, error) {
		live, err := app.Release(app.Live())
		if err != nil {
			return live, "", err
		}
		if !c.serving() { // before anything is written
			return live, "", errNotServing
		}
		old, _ := app.Build(live.Build)
		if err := c.Room.For(c.Volume, old.Bytes, old.Files); err != nil {
			return live, "", err
		}
		note := ""
		if in.ClearCache {
			note = "with an empty cache"
			if err := clearCache(app); err != nil {
				return live, "", err
			}
			p.step("The build cache of %s is empty", app.Name)
		}
		b, err := deploy.Rebuild(c, app, live)
		if err != nil {
			return live, "", err
		}
		out := &progressLog{progress: p}
		deploy.Introduce(out, app, b)
		out.Close()
		live.Build = b.ID // should it not be published, it is a build of no release, which the runtime removes
		return live, note, nil
	})
}

// clearCache empties the app's build cache, but for what its builds run with. The caller holds the turn,
// so nothing is being built.
func clearCache(app volume.App) error {
	trash, err := app.Volume().TempDir()
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
	return errors.Join(err, builder.Clear(app.Cache(), trash, inUse), os.RemoveAll(trash))
}
