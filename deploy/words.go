package deploy

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"paas/git"
	"paas/say"
	"paas/volume"
)

// Waiting is the line of a deploy that waits until holder ends its turn.
func Waiting(holder string) string { return "Waiting for " + say.Plain(holder, 100) + " to end" }

// Instead is the line that says what serves instead of a release that failed, followed by what to
// do next.
func Instead(app volume.App, next string) string {
	if n := app.Live(); n > 0 {
		return fmt.Sprintf("v%d keeps serving. %s", n, next)
	}
	return "Nothing is live yet. " + next
}

// DiskFull explains err if it is about a full disk; otherwise it returns err.
func DiskFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the server's disk is full: %w; make room on it", err)
	}
	return err
}

// Introduce shows on out what is about to be deployed.
func Introduce(out io.Writer, app volume.App, b volume.Build) {
	files := fmt.Sprintf("%d files", b.Files)
	if b.Files == 1 {
		files = "1 file"
	}
	say.Step(
		out, "%s: %s, %s at %s %q", app.Name, files, say.Bytes(b.Bytes), git.Short(b.Commit),
		b.Subject,
	)
}
