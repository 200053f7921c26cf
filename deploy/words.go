package deploy

import (
	"fmt"
	"io"

	"paas/git"
	"paas/say"
	"paas/volume"
)

// Introduce says on out what is about to be deployed.
func Introduce(out io.Writer, app volume.App, b volume.Build) {
	files := fmt.Sprintf("%d files", b.Files)
	if b.Files == 1 {
		files = "1 file"
	}
	say.Step(out, "%s: %s, %s at %s %q", app.Name, files, say.Bytes(b.Bytes), git.Short(b.Commit), b.Subject)
}
