package sidecar

import (
	"context"
	"errors"
	"io"
	"strings"

	"paas/deploy"
	"paas/git"
	"paas/remote"
	"paas/say"
	"paas/volume"
)

// inspect reads the fetched commit, and warns about what will not work. The error is a
// [*git.Refused] if it cannot be deployed.
func (a *attempt) inspect(
	ctx context.Context, objects *git.Objects, head remote.Head,
) (volume.Build, error) {
	b, scripts, err := a.maker(a.app, a.out).Inspect(ctx, objects, head.Commit, head.Name)
	if errors.Is(err, git.ErrNotCommit) {
		err = &git.Refused{Reason: err.Error(), Advice: "point the branch at a commit"}
	}
	if a.warned = len(scripts) > 0; a.warned {
		a.Log.Warn(
			"scripts cannot run: Windows line endings", "app", a.app.Name, "commit",
			git.Short(b.Commit), "scripts", scripts,
		)
	}
	return b, err
}

// ofSource says why a commit cannot be deployed, for people who do not push here.
func ofSource(r *git.Refused) string {
	reason := strings.ReplaceAll(r.Reason, "part of this push", "part of what is fetched")
	return say.Plain(reason+"; "+r.Advice, maxLine)
}

// release makes a release of b, and takes it through both phases. The caller holds the turn.
func (a *attempt) release(
	ctx context.Context, b volume.Build, objects *git.Objects,
) (r volume.Release, s volume.Status, err error) {
	settings, err := a.app.Settings()
	if err != nil {
		return r, s, err
	}
	if a.once && settings.ModeOr(a.Mode) != volume.OnlyFiles && !a.Volume.Claimed(volume.RoleApp) {
		return r, s, &volume.Problem{
			Err:    errors.New("nothing runs the apps of this volume, so no release can go live"),
			Remedy: volume.Remedy{Do: volume.StartServer, With: volume.RoleApp},
		}
	}
	m := a.maker(a.app, a.out)
	m.Watching = a.leave
	r, err = m.Publish(ctx, b, volume.Release{By: a.by, Cause: volume.CauseSync}, objects)
	if err != nil {
		return r, s, err
	}
	s, err = m.Release(ctx, r, objects)
	return r, s, err
}

// maker returns the maker of the app's releases.
func (s *Sidecar) maker(app volume.App, out io.Writer) deploy.Maker {
	return deploy.Maker{
		App:       app,
		Mode:      s.Mode,
		URL:       s.URL,
		Out:       out,
		Inspector: &s.inspector,
		Modules:   deploy.Modules{Remote: s.Remote},
		DiskSpace: s.DiskSpace,
	}
}
