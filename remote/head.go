package remote

import (
	"cmp"
	"context"

	"paas/git"
)

// Head is the head of a branch.
type Head struct {
	Branch string // short name, such as main
	Commit string // 40 hexadecimal digits
}

// Head returns the head of branch; "" means the branch that the remote's HEAD points at. It blocks
// for HeadTimeout at most. Its error may wrap one of this package's; an empty repository gives
// [ErrNoBranch].
func (c *Client) Head(ctx context.Context, r Remote, branch string) (Head, error) {
	at, err := r.validate(branch)
	if err != nil {
		return Head{}, err
	}
	var head Head
	err = withTimeout(ctx, at, cmp.Or(c.HeadTimeout, headTimeout), func(ctx context.Context) error {
		return c.withSession(ctx, at, r, nil, func(s *session) (err error) {
			head, err = s.head(branch)
			return err
		})
	})
	return head, err
}

// validate checks the URL, the branch name and the token before a connection is made.
func (r Remote) validate(branch string) (address, error) {
	at, err := parse(r.URL)
	if err != nil {
		return at, err
	}
	// A line break in the name would inject a line into the protocol.
	if branch != "" && git.CheckBranch(branch) != nil {
		return at, errorf(ErrNoBranch, "%s: not a valid branch name; git branch -r lists the "+
			"branches", at)
	}
	if at.scheme == "http" && r.Token != "" && !at.isLoopback() {
		return at, errorf(ErrAuth, "%s: a token is not sent over http://, because anybody on the "+
			"network could read it; use https://", at)
	}
	return at, nil
}
