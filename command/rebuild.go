package command

import (
	"paas/access"
	"paas/deploy"
	"paas/volume"
)

func rebuildRows() []Row {
	return []Row{
		Stream[rebuildInput, Progress]{
			Head: Head{
				Name: "ps:rebuild", Group: Running, Needs: access.Deploy,
				Example: "blog --clear-cache",
				Short:   `rebuild the live commit; use it when git push says "Everything up-to-date"`,
			},
			Run:  rebuild,
			Text: printProgress,
		},
	}
}

type rebuildInput struct {
	App        string `json:"app" arg:"APP"`
	ClearCache bool   `json:"clear_cache" flag:"clear-cache" help:"empty the app's build cache first"`
}

// rebuild makes a new build of the live commit, for when something outside of it has changed: the
// tools on the server, say, or the newest version in a range.
func rebuild(c *Call, in rebuildInput, events Teller[Progress]) error {
	p := progress{events}
	rebuilt := func(app volume.App) (volume.Release, string, error) {
		live, err := app.Release(app.Live())
		if err != nil {
			return live, "", err
		}
		if !c.serving() { // before anything is written
			return live, "", errNotServing
		}
		old, _ := app.Build(live.Build)
		if err := c.DiskSpace.Check(c.Volume, old.Bytes, old.Files); err != nil {
			return live, "", err
		}
		note := ""
		if in.ClearCache {
			note = "with an empty cache"
		}
		b, err := deploy.Rebuild(c, app, live, in.ClearCache, c.Modules, progressLog{p})
		if err != nil {
			return live, "", err
		}
		deploy.Introduce(progressLog{p}, app, b)
		if err := takeConfig(app, &live); err != nil {
			return live, "", err
		}
		live.Of = 0
		live.Build = b.ID // if it is never published, no release has it, and the runtime removes it
		return live, note, nil
	}
	return c.again(in.App, volume.CauseRebuild, p, rebuilt)
}
