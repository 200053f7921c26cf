package receiver

import (
	"errors"
	"io/fs"

	"paas/git"
	"paas/volume"
)

// Agree reports whether the app's repository shows what is live: the branch that deploys points at
// it, a clone checks that branch out, and no other branch is there. It runs no git and needs no turn.
func Agree(app volume.App) (bool, error) {
	repo := git.Repo{Dir: app.Repo()}
	if err := repo.Check(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // nothing was pushed yet
		}
		return false, err
	}
	v, err := look(app, repo)
	if err != nil || !v.agrees() {
		return false, err
	}
	head, err := repo.Head()
	return v.ref == "" || head == v.branch, err
}

// agrees reports whether the branches are as what is live wants them.
func (v view) agrees() bool {
	return len(v.strays) == 0 && (v.live == 0 || v.liveCommit == "" || v.ref == v.liveCommit)
}
