package git

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"paas/subprocess"
)

// Pack writes one pack with all that can be reached from the references and from commits, as far as
// the repository has those. It writes nothing if that is nothing. It blocks while git packs.
func (r Repo) Pack(ctx context.Context, commits []string, out io.Writer) error {
	objects := r.Objects()
	defer objects.Close()
	refs, err := r.refs()
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if ref.Type() == plumbing.HashReference {
			commits = append(commits, ref.Hash().String())
		}
	}
	var tips strings.Builder
	for _, c := range commits {
		if objects.HasEncodedObject(plumbing.NewHash(c)) == nil {
			fmt.Fprintln(&tips, c)
		}
	}
	if tips.Len() == 0 {
		return nil
	}
	return r.pipe(ctx, strings.NewReader(tips.String()), out,
		"pack-objects", "--revs", "--stdout", "-q", "--delta-base-offset", "--threads=1")
}

// TakePack reads a pack into the repository, which has nothing yet. The pack may come from anybody:
// git checks each object, and that none is missing. limit is how many bytes it may have.
func (r Repo) TakePack(ctx context.Context, in io.Reader, limit int64) error {
	const strict = "--strict=zeroPaddedFilemode=ignore,missingSpaceBeforeDate=ignore,badTimezone=ignore"
	return r.pipe(ctx, in, io.Discard,
		"index-pack", "--stdin", strict, "--threads=1", "--max-input-size="+strconv.FormatInt(limit, 10))
}

// pipe runs git between in and out.
func (r Repo) pipe(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	cmd := r.Command(ctx, append([]string{"--git-dir=" + r.Dir}, args...)...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &stderr
	err := subprocess.Run(cmd, nil)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		text := stderr.String()
		err = &Error{
			Command: args[0], Message: errorLine(text), Err: err,
			full: strings.Contains(text, "No space left on device"),
		}
	}
	return err
}
