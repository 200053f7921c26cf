package access

import (
	"fmt"
	"slices"
)

// Right is what somebody may do: with an app, from View to Manage, or on the server, from Anyone to
// Admin. Of its kind each right includes those before it. The zero Right is none.
type Right int

const (
	None Right = iota

	View    // see releases, processes, settings and the names of config vars
	Deploy  // push, fetch, roll back, restart, run commands, read logs and config vars
	Operate // scale, limit, put to sleep, change settings and storage
	Manage  // say who has access and what is followed, rename, destroy

	Anyone // ask for what is about nobody's app
	Guest  // the same as a person, not as a token: make tokens
	Member // create apps, and manage those
	Admin  // everything, with every app
)

var rightNames = []string{
	"none", "view", "deploy", "operate", "manage", "anyone", "guest", "member", "admin",
}

func (r Right) String() string { return rightNames[r] }

// OnApp reports whether the right is one with an app.
func (r Right) OnApp() bool { return View <= r && r <= Manage }

func (r Right) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Right) UnmarshalText(text []byte) error {
	i := slices.Index(rightNames, string(text))
	if i <= 0 {
		return fmt.Errorf("there is no right or role %.40q", text)
	}
	*r = Right(i)
	return nil
}
