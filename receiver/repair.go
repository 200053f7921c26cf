package receiver

import (
	"cmp"
	"context"

	"paas/git"
	"paas/volume"
)

// repair repairs torn files of the app and its repository, which would keep every push from going
// through. A deploy branch that was torn points at what is live at once: git may be about to show
// it to a pusher. The caller holds the app's turn.
func (r *Receiver) repair(app volume.App, repo git.Repo) error {
	if err := app.Repair(); err != nil {
		return err
	}
	files, err := repo.Damaged()
	if err != nil || len(files) == 0 {
		return err
	}
	branch, commit := usualBranches[0], ""
	if live, err := app.Release(app.Live()); err == nil {
		branch = cmp.Or(live.Branch, branch) // a release of a mere commit has none
		objects := repo.Objects()
		defer objects.Close()
		if _, err := objects.Commit(live.Commit); err == nil {
			commit = live.Commit
		}
	}
	if err := repo.Repair(files, branch, commit); err != nil {
		return err
	}
	r.Log.Warn("repaired", "app", app.Name, "repository", files)
	return nil
}

// repairFirst repairs a damaged repository before git runs, which would refuse it. It waits for the
// app's turn then.
func (r *Receiver) repairFirst(ctx context.Context, app volume.App, repo git.Repo) error {
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
