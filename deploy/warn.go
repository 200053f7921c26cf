package deploy

import (
	"context"
	"io"

	"paas/git"
	"paas/say"
)

// Warn says on out which of the commit's scripts cannot be run as they were committed. Its error is
// for the log: what only warns stops no deploy.
func Warn(ctx context.Context, objects *git.Objects, commit string, out io.Writer) error {
	const enough = 5
	scripts, err := objects.CarriageReturns(ctx, commit, enough)
	for _, path := range scripts {
		say.Fault(out, "%s has Windows line endings, so the kernel will not find its interpreter.", say.Plain(path, 200))
	}
	if len(scripts) > 0 {
		say.Fault(out, `Commit them with \n instead: echo "* text=auto eol=lf" >> .gitattributes; git add --renormalize .`)
	}
	return err
}
