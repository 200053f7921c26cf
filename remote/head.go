package remote

import (
	"cmp"
	"context"
	"errors"

	"paas/git"
)

// Ref says which commit of a repository is meant. At most one field is set; the zero Ref is the
// branch that the remote's HEAD points at.
type Ref struct {
	Branch string // short name, such as main
	// Tag is the name of a tag, or a pattern in the syntax of [path.Match]: the newest of the
	// versions that match, by semantic versioning. A pre-release counts only if no other version
	// matches.
	Tag    string
	Commit string // 40 hexadecimal digits
}

// Head is what a [Ref] points at.
type Head struct {
	Name   string // of the branch or tag; empty for a commit
	Commit string // 40 hexadecimal digits
}

// String says in a few words where the branch or tag is.
func (h Head) String() string {
	if h.Name == "" {
		return "it is the commit " + git.Short(h.Commit)
	}
	return h.Name + " is at " + git.Short(h.Commit)
}

// Head returns what ref points at. It blocks for HeadTimeout at most. Its error may wrap one of
// this package's; an empty repository gives [ErrNoBranch]. If ref is a commit, Head does not ask
// whether the repository has it.
func (c *Client) Head(ctx context.Context, r Remote, ref Ref) (Head, error) {
	at, err := r.validate(ref)
	if err != nil {
		return Head{}, err
	}
	var head Head
	err = withTimeout(ctx, at, cmp.Or(c.HeadTimeout, headTimeout), func(ctx context.Context) error {
		return c.withSession(ctx, at, r, nil, func(s *session) (err error) {
			head, err = s.head(ref)
			return err
		})
	})
	return head, err
}

// Kind returns which field is set: "commit", "tag" or "branch".
func (ref Ref) Kind() string {
	switch {
	case ref.Commit != "":
		return "commit"
	case ref.Tag != "":
		return "tag"
	}
	return "branch"
}

// Check returns an error if no repository can have what ref asks for.
func (ref Ref) Check() error {
	switch {
	case ref.Commit != "" && ref.Tag+ref.Branch != "", ref.Tag != "" && ref.Branch != "":
		return errors.New("use one of branch, tag and commit")
	case ref.Commit != "" && !isCommit(ref.Commit):
		return errorf(ErrNoCommit, "%q is not a commit; write all 40 digits, as git rev-parse "+
			"prints them", printable(ref.Commit))
	case ref.Tag != "":
		return CheckTag(ref.Tag)
	case ref.Branch != "":
		return git.CheckBranch(ref.Branch)
	}
	return nil
}

// validate checks the URL, the reference and the token before a connection is made.
func (r Remote) validate(ref Ref) (address, error) {
	at, err := parse(r.URL)
	if err != nil {
		return at, err
	}
	// A line break in the name would inject a line into the protocol.
	if err := ref.Check(); err != nil {
		return at, errorf(ErrNoBranch, "%s: %v", at, err)
	}
	if at.scheme == "http" && r.Token != "" && !at.isLoopback() {
		return at, errorf(ErrAuth, "%s: a token is not sent over http://, because anybody on the "+
			"network could read it; use https://", at)
	}
	return at, nil
}
