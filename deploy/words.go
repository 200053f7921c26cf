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
	say.Step(out, "%s: %s, %s at %s %q", app.Name, files, git.Size(b.Bytes), git.Short(b.Commit), b.Subject)
}

// LiveLine says that release n is live, and at which address where it has one. url may be nil.
func LiveLine(app volume.App, n int, url func(app string) string) string {
	line := fmt.Sprintf("%s %s is live", app.Name, volume.Release{N: n})
	release, err := app.Release(n)
	if err != nil || url == nil {
		return line
	}
	built, err := app.Built(release.Build)
	if _, web := built.Processes["web"]; err == nil && (web || built.Static != "") {
		line += ": " + url(app.Name)
	}
	return line
}
