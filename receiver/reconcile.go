package receiver

import (
	"context"
	"fmt"
	"io"

	"paas/deploy"
	"paas/git"
	"paas/volume"
)

// view is what an app's branch and releases look like at one moment.
type view struct {
	set        string   // the deploy branch that the settings name; empty: none
	liveBranch string   // the branch of the live release
	there      []string // main and master, if they exist
	branch     string   // the deploy branch
	ref        string   // what it points at; empty: it does not exist
	live       int      // the live release; 0: none
	liveCommit string
	spoilt     bool        // see [deploy.Spoilt]
	strays     []string    // other branches, such as of an earlier setting
	after      []candidate // releases after the live one, oldest first
}

type candidate struct {
	n         int
	commit    string
	committed bool
	cancelled bool
	onlyFiles bool
	state     volume.State
}

// readView reads what the app looks like now. It runs no git.
func readView(app volume.App, repo git.Repo) (v view, err error) {
	settings, err := app.Settings()
	if err != nil {
		return v, err
	}
	v.set = settings.Branch
	if v.live = app.Live(); v.live > 0 {
		release, err := app.Release(v.live)
		if err != nil {
			return v, err
		}
		v.liveCommit, v.liveBranch = release.Commit, release.Branch
	}
	for _, branch := range usualBranches {
		if ref, err := repo.Ref(git.Branch(branch)); err != nil {
			return v, err
		} else if ref != "" {
			v.there = append(v.there, branch)
		}
	}
	v.branch = deployBranch(v.set, v.liveBranch, v.there, nil)
	if v.ref, err = repo.Ref(git.Branch(v.branch)); err != nil {
		return v, err
	}
	branches, err := repo.Branches()
	if err != nil {
		return v, err
	}
	for _, b := range branches {
		if b != v.branch {
			v.strays = append(v.strays, b)
		}
	}
	v.spoilt = deploy.Spoilt(app)
	open, err := app.Open()
	if err != nil {
		return v, err
	}
	for _, n := range open {
		release, err := app.Release(n)
		if err != nil && !volume.IsDamage(err) { // the runtime makes a damaged one fail
			return v, err
		}
		status, err := app.Status(n)
		if err != nil {
			return v, err
		}
		_, cancelled := app.Cancelled(n)
		v.after = append(v.after, candidate{
			n, release.Commit, app.Committed(n), cancelled, release.OnlyFiles(), status.State,
		})
	}
	if v.liveCommit != "" && v.liveCommit != v.ref {
		objects := repo.Objects()
		defer objects.Close()
		// it is of a repository that the app followed
		if _, err := objects.Commit(v.liveCommit); err != nil {
			v.liveCommit = ""
		}
	}
	return v, nil
}

// move is a step towards a branch that agrees with what is live.
type move struct {
	do string // one of the constants below
	n  int    // the release that it is about
}

const (
	rest   = "rest"   // they agree
	await  = "await"  // n is committed and on its way
	place  = "place"  // n is committed, in mode worktree: its files are written
	commit = "commit" // git has moved the branch to n, then its push was cut off
	cancel = "cancel" // the maker of n has died
	prune  = "prune"  // other branches are removed; one may be in the way of the deploy branch
	back   = "back"   // worktree/ is changed back to what is live
	turn   = "turn"   // the branch is moved to what is live
)

// next returns the next step. The caller holds the app's turn, so nobody else is deploying, and the
// maker of a release that is not committed has died.
func (v view) next() move {
	for _, c := range v.after {
		switch {
		case c.state.Over() || !c.committed:
		case c.onlyFiles:
			return move{place, c.n}
		default:
			return move{await, c.n}
		}
	}
	abandoned := 0
	for _, c := range v.after {
		if c.committed || c.cancelled || c.state.Over() {
			continue
		}
		if c.state == volume.Ready && c.commit == v.ref && v.ref != v.liveCommit {
			return move{commit, c.n}
		}
		abandoned = c.n
	}
	switch {
	case abandoned > 0:
		return move{cancel, abandoned}
	case v.spoilt:
		return move{back, v.live}
	case len(v.strays) > 0:
		return move{prune, 0}
	// it is made of no commit of this repository: there is nothing to agree with
	case v.live > 0 && v.liveCommit == "":
		return move{rest, 0}
	case v.ref != v.liveCommit:
		return move{turn, v.live}
	}
	return move{rest, 0}
}

// reconcile makes the app's branch and releases agree, and returns what they look like then. The
// caller holds the app's turn. If patient, it waits for a release that is on its way, as
// [deploy.AwaitOver] does, and for worktree/ to be built again. A release that is still on its way
// then is not an error, because the next reconciliation goes on.
func (r *Receiver) reconcile(
	ctx context.Context, app volume.App, patient bool,
) (v view, err error) {
	if !app.Exists() {
		return v, nil
	}
	repo := r.repo(app)
	if err := r.repair(app, repo); err != nil {
		return v, err
	}
	for awaited := false; ; {
		r.reached("look")
		if v, err = readView(app, repo); err != nil {
			return v, err
		}
		m := v.next()
		if m.do != rest {
			r.Log.Info("reconciling", "app", app.Name, "do", m.do, "release", m.n)
		}
		switch m.do {
		case rest:
			return v, r.followHead(ctx, repo, v)
		case await:
			if !patient || awaited {
				return v, nil
			}
			awaited = true
			err = deploy.AwaitOver(ctx, app, m.n)
		case place:
			err = r.place(ctx, app, m.n)
		case commit:
			err = r.maker(app, io.Discard).Commit(m.n)
		case cancel:
			err = r.maker(app, io.Discard).TakeBack(m.n, "git did not take it")
		case back:
			if !patient { // the runtime may not have started yet
				return v, nil
			}
			err = r.maker(app, io.Discard).Restore(ctx)
		case prune:
			err = r.prune(ctx, repo, v.strays)
		case turn:
			err = repo.SetRef(ctx, git.Branch(v.branch), v.ref, v.liveCommit)
		}
		if err != nil {
			return v, fmt.Errorf("%s %s: %w", m.do, app.Name, err)
		}
	}
}

// place writes release n, of mode worktree, into the app's worktree/. A release that fails is not an
// error.
func (r *Receiver) place(ctx context.Context, app volume.App, n int) error {
	release, err := app.Release(n)
	if err != nil {
		return err
	}
	objects := r.repo(app).Objects()
	defer objects.Close()
	_, err = r.maker(app, io.Discard).Finish(ctx, release, objects)
	if s, readErr := app.Status(n); readErr == nil && s.State == volume.Failed {
		return nil
	}
	return err
}

func (r *Receiver) prune(ctx context.Context, repo git.Repo, strays []string) error {
	for _, branch := range strays {
		at, err := repo.Ref(git.Branch(branch))
		if err == nil && at != "" {
			err = repo.SetRef(ctx, git.Branch(branch), at, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// followHead makes a clone check out the deploy branch.
func (r *Receiver) followHead(ctx context.Context, repo git.Repo, v view) error {
	head, err := repo.Head()
	if err != nil || head == v.branch || v.ref == "" {
		return err
	}
	return repo.SetHead(ctx, v.branch)
}
