package remote

import (
	"cmp"
	"context"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Head is where a branch is.
type Head struct {
	Branch string // its short name: main
	Commit string // 40 hexadecimal digits
}

// Look says where branch is; "" is the branch that the remote's HEAD points at. It blocks for
// LookTimeout at most. The error wraps one of this package's where a caller can decide on it:
// [ErrNoBranch] also for a repository that is empty.
func (c *Client) Look(ctx context.Context, r Remote, branch string) (Head, error) {
	at, err := r.check(branch)
	if err != nil {
		return Head{}, err
	}
	var head Head
	err = within(ctx, at, cmp.Or(c.LookTimeout, lookTimeout), func(ctx context.Context) error {
		return c.converse(ctx, at, r, nil, func(s *session) (err error) {
			head, err = s.look(branch)
			return err
		})
	})
	return head, err
}

// check refuses what must not be asked for, before a connection is made.
func (r Remote) check(branch string) (address, error) {
	at, err := parse(r.URL)
	if err != nil {
		return at, err
	}
	// A line break in a branch's name would be a line of the protocol.
	if name := plumbing.NewBranchReferenceName(branch); branch != "" && (name.Validate() != nil || strings.ContainsAny(branch, " ~^:?*[\\\x7f")) {
		return at, faultf(ErrNoBranch, "%s: this cannot be the name of a branch; git branch -r lists those there are", at)
	}
	if at.scheme == "http" && r.Token != "" && !at.loopback() {
		return at, faultf(ErrAuth, "%s: a token is not sent over http://, where everybody on the way can read it; use https://", at)
	}
	return at, nil
}
