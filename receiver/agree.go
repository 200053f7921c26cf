package receiver

import (
	"errors"
	"io/fs"

	"paas/git"
	"paas/volume"
)

// Agree reports whether the app's repository agrees with what is live: the deploy branch points at
// the live commit, a clone checks out that branch, and there is no other branch. It runs no git and
// needs no turn.
func Agree(app volume.App) (bool, error) {
	repo := git.Repo{Dir: app.Repo()}
	if err := repo.Check(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // nothing has been pushed yet
		}
		return false, err
	}
	v, err := readView(app, repo)
	if err != nil || !v.agrees() {
		return false, err
	}
	head, err := repo.Head()
	return v.ref == "" || head == v.branch, err
}

// agrees reports whether the branches agree with what is live.
func (v view) agrees() bool {
	return len(v.strays) == 0 && (v.live == 0 || v.liveCommit == "" || v.ref == v.liveCommit)
}
