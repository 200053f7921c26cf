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

// tenant is an app with pushes under way.
type tenant struct {
	sessions int
	created  bool // by one of them
}

// enter finds the app for a push, or makes it: the first push is how an app begins. Pair it with
// [Receiver.exit].
func (r *Receiver) enter(name string) (volume.App, error) {
	r.opening.Lock()
	defer r.opening.Unlock()
	created := false
	app, err := r.Volume.App(name)
	if errors.Is(err, volume.ErrNoApp) {
		app, err = r.Volume.Create(name)
		created = err == nil
		if errors.Is(err, fs.ErrExist) { // another process was faster
			app, err = r.Volume.App(name)
		}
	}
	if err != nil {
		return volume.App{}, err
	}
	t := r.tenants[name]
	if t == nil {
		t = new(tenant)
		r.tenants[name] = t
	}
	t.sessions++
	t.created = t.created || created
	return app, nil
}

// followed says that the app is not pushed to or fetched from here where it follows a repository
// elsewhere: two would deploy it, each taking back what the other did.
func followed(app volume.App) error {
	source, ok, err := app.Source()
	if err == nil && ok {
		err = fmt.Errorf("%s follows %s: push there, clone that. source:unset %s ends it", app.Name, plain(source.URL, 200), app.Name)
	}
	return err
}

// exit ends what enter began. An app that its pushes made, and that nobody has given anything since, is
// destroyed again: a mistyped name leaves nothing.
func (r *Receiver) exit(app volume.App) {
	r.opening.Lock()
	defer r.opening.Unlock()
	t := r.tenants[app.Name]
	if t.sessions--; t.sessions > 0 {
		return
	}
	delete(r.tenants, app.Name)
	if !t.created {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Second) // who looks at a new app has its turn for a moment
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

// alone says whether the app has one push under way and no more.
func (r *Receiver) alone(app volume.App) bool {
	r.opening.Lock()
	defer r.opening.Unlock()
	t := r.tenants[app.Name]
	return t != nil && t.sessions == 1
}

// open is the app's repository, made if there is none. It appears whole or not at all.
func (r *Receiver) open(app volume.App) (git.Repo, error) {
	repo := r.repo(app)
	err := repo.Check()
	if !errors.Is(err, fs.ErrNotExist) {
		return repo, nil // one that is damaged is repaired before git runs
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
	if err := os.Rename(fresh, repo.Dir); err != nil && repo.Check() != nil { // else another push was faster
		return repo, err
	}
	return repo, nil
}
