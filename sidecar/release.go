package sidecar

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"paas/deploy"
	"paas/git"
	"paas/say"
	"paas/upstream"
	"paas/volume"
)

// inspect says what the fetched commit is, and what about it will not work. The error is a
// [*git.Refused] where it cannot be deployed.
func (a *attempt) inspect(ctx context.Context, objects *git.Objects, head upstream.Head) (volume.Build, error) {
	commit, err := objects.Commit(head.Commit)
	if errors.Is(err, git.ErrNotCommit) {
		return volume.Build{}, &git.Refused{Reason: err.Error(), Advice: "point the branch at a commit"}
	}
	if err != nil {
		return volume.Build{}, err
	}
	summary, err := a.inspector.Inspect(ctx, objects, commit.Tree)
	if err != nil {
		return volume.Build{}, err
	}
	b := volume.Build{
		Commit: head.Commit, Branch: head.Branch, Subject: say.Plain(commit.Subject, 72),
		Files: summary.Files, Bytes: summary.Bytes,
	}
	deploy.Introduce(a.out, a.app, b)
	if err := a.Room.For(a.Volume, b.Bytes, b.Files); err != nil {
		return volume.Build{}, err
	}
	var warning bytes.Buffer
	if err := deploy.Warn(ctx, objects, b.Commit, &warning); err != nil {
		return volume.Build{}, err
	}
	if a.warned = warning.Len() > 0; a.warned {
		a.out.Write(warning.Bytes())
		first, _, _ := strings.Cut(warning.String(), "\n")
		a.Log.Warn("scripts cannot run", "app", a.app.Name, "commit", git.Short(b.Commit), "why", strings.TrimLeft(first, " !"))
	}
	return b, nil
}

// ofSource is why a commit cannot be deployed, for people who do not push here.
func ofSource(r *git.Refused) string {
	reason := strings.ReplaceAll(r.Reason, "part of this push", "part of what is fetched")
	return say.Plain(reason+"; "+r.Advice, maxLine)
}

// release makes a release of b and brings it to life, if it can. The caller holds the turn.
func (a *attempt) release(ctx context.Context, b volume.Build, objects *git.Objects) (volume.Release, volume.Status, error) {
	settings, err := a.app.Settings()
	if err != nil {
		return volume.Release{}, volume.Status{}, err
	}
	r := volume.Release{
		Commit: b.Commit, Branch: b.Branch, Subject: b.Subject,
		By: a.by, Cause: volume.CauseSync, Settings: settings,
	}
	if a.inPlace(settings) {
		r, err = deploy.InPlace(ctx, a.app, r, objects, a.out)
		return r, volume.Status{State: volume.Live}, err
	}
	if a.once && !a.Volume.Claimed(volume.RoleApp) {
		return r, volume.Status{}, errors.New("nothing runs the apps of this volume, so no release can go live; start it: paas serve app")
	}
	b, err = deploy.Checkout(a.app, b, func(tree string) error { return objects.WriteTree(ctx, b.Commit, tree) })
	if err != nil {
		return r, volume.Status{}, err
	}
	a.reached("built")
	r.Build = b.ID
	r, status, err := deploy.Release(ctx, a.app, r, a.out)
	if r.N == 0 { // not published: nobody else knows of the build
		err = errors.Join(err, a.app.RemoveBuild(b.ID))
	}
	return r, status, err
}
