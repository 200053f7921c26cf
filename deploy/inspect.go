package deploy

import (
	"context"

	"paas/git"
	"paas/say"
	"paas/volume"
)

// Inspect reads the commit hash, introduces it on Out, and checks that the disk has space for it.
// It returns the build to publish, and the scripts of the commit that cannot run as they were
// committed, after a warning on Out. The error wraps [git.ErrNotCommit] if hash names something
// else, and is a [*git.Refused] if the commit cannot be deployed.
func (m Maker) Inspect(
	ctx context.Context, objects *git.Objects, hash, branch string,
) (b volume.Build, scripts []string, err error) {
	commit, err := objects.Commit(hash)
	if err != nil {
		return b, nil, err
	}
	summary, err := m.Inspector.Inspect(ctx, objects, commit.Tree)
	if err != nil {
		return b, nil, err
	}
	if len(summary.Modules) > 0 {
		settings, err := m.App.Settings()
		if err != nil {
			return b, nil, err
		}
		if mode := settings.ModeOr(m.Mode); mode != volume.ByRelease {
			return b, nil, &git.Refused{
				Reason: summary.Modules[0].Path + " is a submodule, which mode " + string(mode) +
					" does not fetch",
				Advice: "commit the files themselves (git subtree does so)",
			}
		}
	}
	b = volume.Build{
		Commit:  hash,
		Branch:  branch,
		Subject: say.Plain(commit.Subject, 72),
		Files:   summary.Files,
		Bytes:   summary.Bytes,
	}
	Introduce(m.Out, m.App, b)
	if err := m.DiskSpace.Check(m.App.Volume(), b.Bytes, b.Files); err != nil {
		return b, nil, err
	}
	warn(summary.Scripts, m.Out)
	return b, summary.Scripts, nil
}
