package main

import (
	"context"
	"os"
	"path/filepath"

	"paas/command"
	"paas/git"
	"paas/remote"
	"paas/volume"
)

// buildpacks downloads buildpacks from remote repositories for [paas/builder].
type buildpacks struct {
	remotes *remote.Client
	vol     *volume.Volume
}

func (p buildpacks) Head(ctx context.Context, url, branch string) (commit string, err error) {
	if err := command.CheckBuildpack(url); err != nil {
		return "", err
	}
	head, err := p.remotes.Head(ctx, remote.Remote{URL: url}, remote.Ref{Branch: branch})
	return head.Commit, err
}

// Fetch writes the files of branch into dir. It keeps the repository where no app can write: an app
// could make its files links to those of others.
func (p buildpacks) Fetch(ctx context.Context, url, branch, dir string) (commit string, err error) {
	temp, err := p.vol.TempDir()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	repo := git.Repo{Dir: filepath.Join(temp, "repo.git")}
	if commit, err = p.remotes.Fetch(ctx, remote.Remote{URL: url}, remote.Ref{Branch: branch}, repo.Dir); err != nil {
		return "", err
	}
	objects := repo.Objects()
	defer objects.Close()
	return commit, objects.WriteTree(ctx, commit, dir)
}
