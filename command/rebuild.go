package command

import (
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
		}
		b, err := deploy.Rebuild(c, app, live, in.ClearCache)
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
