package receiver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"paas/git"
	"paas/volume"
)

// activeApp is an app with pushes under way.
type activeApp struct {
	sessions int
	created  bool // by one of these pushes
}

// enter returns the app for a push. The first push makes the app. Call [Receiver.exit] at the end.
func (r *Receiver) enter(name string, client Client) (volume.App, error) {
	r.opening.Lock()
	defer r.opening.Unlock()
	created := false
	app, err := client.Admit(name)
	if isNew(err) {
		app, err = client.Create(name)
		created = err == nil
		if errors.Is(err, fs.ErrExist) { // another process was faster, or it is not for this client
			var admitErr error
			if app, admitErr = client.Admit(name); admitErr == nil {
				err = nil
			}
		}
	}
	if err != nil {
		return volume.App{}, notFree(name, err)
	}
	t := r.active[name]
	if t == nil {
		t = new(activeApp)
		r.active[name] = t
	}
	t.sessions++
	t.created = t.created || created
	return app, nil
}

// isNew reports whether an error of [Client.Admit] is about a name that may be a new app's.
func isNew(err error) bool {
	return errors.Is(err, volume.ErrNoApp) && volume.RemedyOf(err).Do != volume.UseNewName
}

// notFree says in words that a name is not free.
func notFree(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the name %s is taken; choose another", name)
	}
	return err
}

// followed returns an error if the app follows a remote repository: pushes and syncs would each
// undo what the other did.
func followed(app volume.App) error {
	source, ok, err := app.Source()
	if err == nil && ok {
		return &volume.Problem{
			Err: fmt.Errorf(
				"%s follows %s: push there, clone that", app.Name, plain(source.URL, 200),
			),
			Remedy: volume.Remedy{Do: volume.UnfollowRepository, App: app.Name},
		}
	}
	return err
}

// exit ends a push. If its app was made by these pushes, and is still empty after the last of them,
// it is destroyed: a mistyped name leaves nothing.
func (r *Receiver) exit(app volume.App) {
	r.opening.Lock()
	defer r.opening.Unlock()
	t := r.active[app.Name]
	if t.sessions--; t.sessions > 0 {
		return
	}
	delete(r.active, app.Name)
	if !t.created {
		return
	}
	// the reconciler may hold the turn of a new app for a moment
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	done, err := app.Turn(ctx, "the end of a push", nil)
	if err != nil {
		return
	}
	defer done()
	if empty, err := app.Empty(); err != nil || !empty {
		return
	}
	if err := r.Volume.Destroy(app); err != nil {
		r.Log.Error("empty app not removed", "app", app.Name, "err", err)
	}
}

// alone reports whether the app has only one push under way.
func (r *Receiver) alone(app volume.App) bool {
	r.opening.Lock()
	defer r.opening.Unlock()
	t := r.active[app.Name]
	return t != nil && t.sessions == 1
}

// open returns the app's repository, and makes it if there is none. It appears whole or not at all.
func (r *Receiver) open(app volume.App) (git.Repo, error) {
	repo := r.repo(app)
	err := repo.Check()
	if !errors.Is(err, fs.ErrNotExist) {
		return repo, nil // a damaged one is repaired before git runs
	}
	settings, err := app.Settings()
	if err != nil {
		return repo, err
	}
	dir, err := r.Volume.TempDir()
	if err != nil {
		return repo, err
	}
	defer os.RemoveAll(dir)
	fresh := filepath.Join(dir, "repo.git")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return repo, err
	}
	if err := git.Init(fresh, deployBranch(settings.Branch, "", nil, nil)); err != nil {
		return repo, err
	}
	// otherwise another push was faster
	if err := os.Rename(fresh, repo.Dir); err != nil && repo.Check() != nil {
		return repo, err
	}
	return repo, nil
}
