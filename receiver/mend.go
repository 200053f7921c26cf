package receiver

import (
	"context"

	"paas/git"
	"paas/volume"
)

// mend repairs torn files of the app and its repository, which would keep every push from going
// through. The reconciler then moves the branch to what is live. It reports whether the repository
// was damaged. The caller holds the app's turn.
func (r *Receiver) mend(app volume.App, repo git.Repo) (mended bool, err error) {
	if err := app.Mend(); err != nil {
		return false, err
	}
	files, err := repo.Damaged()
	if err != nil || len(files) == 0 {
		return false, err
	}
	branch := "main"
	if live, err := app.Release(app.Live()); err == nil {
		branch = live.Branch
	}
	if err := repo.Repair(files, branch); err != nil {
		return false, err
	}
	r.Log.Warn("repaired", "app", app.Name, "repository", files)
	return true, nil
}

// mendFirst repairs a damaged repository before git runs, which would refuse it. It waits for the
// app's turn then.
func (r *Receiver) mendFirst(ctx context.Context, app volume.App, repo git.Repo) error {
	files, err := repo.Damaged()
	if err != nil || len(files) == 0 {
		return err
	}
	done, err := app.Turn(ctx, "the repair of its repository", nil)
	if err != nil {
		return err
	}
	defer done()
	_, err = r.reconcile(ctx, app, true)
	return err
}

// news reports whether err differs from what was last logged for the app; nil never does.
func (r *Receiver) news(app string, err error) bool {
	if err == nil {
		r.said.Delete(app)
		return false
	}
	was, _ := r.said.Swap(app, err.Error())
	return was != err.Error()
}
