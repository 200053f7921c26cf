package receiver

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"paas/volume"
)

// tidying is the one repository that is being tidied. That begins only while no push is under way,
// and a push to the app ends it.
type tidying struct {
	running sync.WaitGroup

	// Guarded by Receiver.opening, like the pushes under way.
	app   string // whose repository it is; empty: none is being tidied
	stop  context.CancelFunc
	ended chan struct{}
	last  map[string]time.Time // when the apps were last tidied, also in vain
}

const (
	maxTidy   = 10 * time.Minute // for one repository
	tidyAgain = time.Hour        // after which a repository may be tidied again
)

// tidyAll begins to tidy all repositories that need it, one after the other. It does not block.
func (r *Receiver) tidyAll(ctx context.Context) {
	apps, err := r.Volume.Apps()
	if err != nil {
		return // the reconciler has logged it
	}
	r.opening.Lock()
	defer r.opening.Unlock()
	if r.tidying.app == "" && len(r.active) == 0 {
		r.tidying.running.Go(func() {
			for _, name := range apps {
				if err := r.tidy(ctx, name); err != nil && ctx.Err() == nil &&
					!errors.Is(err, os.ErrNotExist) {
					r.Log.Warn("repository not tidied", "app", name, "err", err)
				}
			}
		})
	}
}

// tidy tidies the app's repository if that is worthwhile and nobody pushes.
func (r *Receiver) tidy(ctx context.Context, name string) error {
	app, err := r.Volume.App(name)
	if err != nil {
		return nil // destroyed since
	}
	repo := r.repo(app)
	if err := repo.Check(); err != nil {
		return err
	}
	if untidy, err := repo.NeedsGC(); err != nil || !untidy {
		return err
	}
	ctx, end, ok := r.beginTidy(ctx, name)
	if !ok {
		return nil
	}
	defer end()
	r.reached("tidying")
	began := time.Now()
	commits, err := kept(app)
	if err == nil {
		err = repo.KeepCommits(ctx, commits)
	}
	if err == nil {
		err = repo.GC(ctx)
	}
	if errors.Is(err, context.Canceled) {
		r.Log.Debug("tidying interrupted", "app", name)
		return nil
	}
	if err == nil {
		r.Log.Info(
			"repository tidied", "app", name, "in", time.Since(began).Round(time.Millisecond),
		)
	}
	return err
}

// kept lists the commits of the app's builds: a rollback moves the branch to one of them, and a
// rebuild checks one out, though no branch may lead to it any more.
func kept(app volume.App) (commits []string, err error) {
	builds, err := app.Builds()
	for _, id := range builds {
		if b, err := app.Build(id); err == nil {
			commits = append(commits, b.Commit)
		} else if !errors.Is(err, os.ErrNotExist) { // it is unreadable, not removed
			return nil, err
		}
	}
	return commits, err
}

// beginTidy reserves the app for tidying. ok is false if a push is under way, another repository is
// being tidied, or this one was tidied lately.
func (r *Receiver) beginTidy(
	ctx context.Context, app string,
) (_ context.Context, end func(), ok bool) {
	r.opening.Lock()
	defer r.opening.Unlock()
	t := &r.tidying
	if len(r.active) > 0 || t.app != "" || time.Since(t.last[app]) < tidyAgain {
		return nil, nil, false
	}
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	ctx, t.stop = context.WithTimeout(ctx, maxTidy)
	t.app, t.ended = app, make(chan struct{})
	return ctx, func() {
		r.opening.Lock()
		defer r.opening.Unlock()
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.last[app] = time.Now()
		}
		t.stop()
		t.app = ""
		close(t.ended)
	}, true
}

// endTidy stops the tidying of the app's repository, if it is under way, and waits until it has
// stopped. None begins while the caller's push is under way.
func (r *Receiver) endTidy(app string) {
	r.opening.Lock()
	t := &r.tidying
	if t.app != app {
		r.opening.Unlock()
		return
	}
	t.stop()
	ended := t.ended
	r.opening.Unlock()
	<-ended
}
