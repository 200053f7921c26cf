package deploy

import (
	"os"
	"path/filepath"

	"paas/volume"
)

// Checkout makes the build that b describes, and publishes it among the app's builds; write fills
// its empty folder with the files of the commit, unless b is InPlace. The caller holds the app's
// turn.
func Checkout(app volume.App, b volume.Build, write func(tree string) error) (volume.Build, error) {
	dir, err := app.Volume().TempDir()
	if err != nil {
		return b, err
	}
	defer app.Volume().RemoveTemp(dir)
	if !b.InPlace {
		tree := filepath.Join(dir, "tree")
		if err := os.Mkdir(tree, 0o755); err != nil {
			return b, err
		}
		if err := write(tree); err != nil {
			return b, err
		}
	}
	return app.PublishBuild(b, dir)
}
