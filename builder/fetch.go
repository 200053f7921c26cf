package builder

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"paas/say"
)

// Fetcher downloads remote repositories. An empty branch is the default branch.
type Fetcher interface {
	// Head returns the commit of a branch.
	Head(ctx context.Context, url, branch string) (commit string, err error)
	// Fetch writes the files of a branch into dir, which is empty.
	Fetch(ctx context.Context, url, branch, dir string) (commit string, err error)
}

// prepare returns the folder to run the buildpack from: a copy for this build alone, because
// buildpacks write into their own folder. One in the tree is already this build's own.
func (b *build) prepare(ctx context.Context, p Buildpack, number int) (string, error) {
	if p.URL == "" && !p.OnServer() {
		if !isProgram(b.tree, filepath.Join(p.Folder, "bin/compile")) {
			return "", fmt.Errorf("%s/bin/compile is not an executable file of the repository "+
				"(try git update-index --chmod=+x)", p.Folder)
		}
		return filepath.Join(b.job.Tree, p.Folder), nil
	}
	from := p.Folder
	if p.URL != "" {
		var err error
		if from, err = b.fetch(ctx, p); err != nil {
			return "", err
		}
	}
	info, err := os.Stat(filepath.Join(from, "bin/compile"))
	if err != nil || info.Mode()&0o111 == 0 {
		return "", errors.New("not a classic buildpack: it has no executable bin/compile " +
			"(https://devcenter.heroku.com/articles/buildpack-api)")
	}
	to := filepath.Join(b.runDir(), strconv.Itoa(number))
	return to, clone(ctx, from, to, false)
}

// runDir holds the copies of buildpacks while they run.
func (b *build) runDir() string { return b.cache("buildpack", "run") }

// fetch returns the folder of the cache with the buildpack's newest files, or the ones downloaded
// before if the repository cannot be reached.
func (b *build) fetch(ctx context.Context, p Buildpack) (string, error) {
	fetcher := b.job.Fetcher
	if fetcher == nil {
		return "", errors.New("this server downloads no buildpacks; use a folder")
	}
	dir := b.fetchedDir(p)
	files := unlinked(b.job.Cache, filepath.Join(dir, "files"))
	known, err := readFile(filepath.Join(dir, "commit"), 1<<10)
	have := err == nil && isFolder(files)
	commit, err := fetcher.Head(ctx, p.URL, p.Branch)
	switch {
	case have && err == nil && commit == string(known):
		return files, nil
	case have && err != nil && ctx.Err() == nil:
		say.Fault(b.job.Out, "%v; using the buildpack as downloaded before", err)
		return files, nil
	case err != nil:
		return "", err
	}
	unfinished := filepath.Join(filepath.Dir(dir), unfinishedPrefix+rand.Text())
	if err := os.MkdirAll(filepath.Join(unfinished, "files"), 0o755); err != nil {
		return "", err
	}
	commit, err = fetcher.Fetch(ctx, p.URL, p.Branch, filepath.Join(unfinished, "files"))
	if err == nil {
		err = os.WriteFile(filepath.Join(unfinished, "commit"), []byte(commit), 0o644)
	}
	if err == nil {
		err = errors.Join(os.RemoveAll(dir), os.Rename(unfinished, dir))
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(unfinished))
	}
	return files, nil
}

func (b *build) fetchedDir(p Buildpack) string {
	sum := sha256.Sum256([]byte(p.String()))
	return b.cache("buildpack", "fetched", hex.EncodeToString(sum[:8]))
}

// pruneBuildpacks removes downloads of buildpacks other than packs, and what a killed build left.
func (b *build) pruneBuildpacks(packs []Buildpack) error {
	entries, _ := os.ReadDir(b.cache("buildpack", "fetched"))
	var err error
	for _, e := range entries {
		kept := b.cache("buildpack", "fetched", e.Name())
		if !slices.ContainsFunc(packs, func(p Buildpack) bool { return b.fetchedDir(p) == kept }) {
			err = errors.Join(err, os.RemoveAll(kept))
		}
	}
	return errors.Join(err, os.RemoveAll(b.runDir()), os.MkdirAll(b.runDir(), 0o755))
}
