package deploy

import (
	"io"

	"paas/say"
)

// warn reports on out which scripts of a commit cannot run as they were committed.
func warn(scripts []string, out io.Writer) {
	for _, path := range scripts {
		say.Fault(
			out, "%s has Windows line endings, so the kernel will not find its interpreter.",
			say.Plain(path, 200),
		)
	}
	if len(scripts) > 0 {
		say.Fault(
			out,
			`Commit them with \n instead: echo "* text=auto eol=lf" >> .gitattributes; git add --renormalize .`,
		)
	}
}
