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

// Fetcher brings the files of repositories elsewhere.
type Fetcher interface {
	Look(ctx context.Context, url, branch string) (commit string, err error)       // where branch is; "": the default one
	Fetch(ctx context.Context, url, branch, dir string) (commit string, err error) // writes its files into dir, which is empty
}

// place puts the buildpack where it can run, and returns its folder. That is a copy for this build alone,
// as buildpacks write into their own folder; one in the tree is the app's own anyway.
func (b *build) place(ctx context.Context, p Buildpack, number int) (string, error) {
	if p.URL == "" && !p.OnServer() {
		if !isProgram(b.tree, filepath.Join(p.Folder, "bin/compile")) {
			return "", fmt.Errorf("%s/bin/compile is not an executable file of the repository; git update-index --chmod=+x makes it one", p.Folder)
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
	if info, err := os.Stat(filepath.Join(from, "bin/compile")); err != nil || info.Mode()&0o111 == 0 {
		return "", errors.New("it has no executable bin/compile: not a classic buildpack (https://devcenter.heroku.com/articles/buildpack-api)")
	}
	to := filepath.Join(b.workshop(), strconv.Itoa(number))
	return to, clone(ctx, from, to, false)
}

// workshop is where copies of buildpacks lie while they run.
func (b *build) workshop() string { return b.cache("buildpack", "run") }

// fetch is the folder of the cache with the buildpack as it is now elsewhere, or as it was, where that
// cannot be found out.
func (b *build) fetch(ctx context.Context, p Buildpack) (string, error) {
	fetcher := b.Fetcher
	if b.job.Fetcher != nil {
		fetcher = b.job.Fetcher
	}
	if fetcher == nil {
		return "", errors.New("none are fetched here; name a folder")
	}
	dir := b.keptAt(p)
	files, noted := filepath.Join(dir, "files"), filepath.Join(dir, "commit")
	known, err := readFile(noted, 1<<10)
	have := err == nil && isFolder(files)
	commit, err := fetcher.Look(ctx, p.URL, p.Branch)
	switch {
	case have && err == nil && commit == string(known):
		return files, nil
	case have && err != nil && ctx.Err() == nil:
		say.Fault(b.job.Out, "%v; the buildpack is used as it was fetched before", err)
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

func (b *build) keptAt(p Buildpack) string {
	sum := sha256.Sum256([]byte(p.String()))
	return b.cache("buildpack", "fetched", hex.EncodeToString(sum[:8]))
}

// pruneBuildpacks takes away what was fetched of others than packs, and what a kill left behind.
func (b *build) pruneBuildpacks(packs []Buildpack) error {
	entries, _ := os.ReadDir(b.cache("buildpack", "fetched"))
	var err error
	for _, e := range entries {
		kept := b.cache("buildpack", "fetched", e.Name())
		if !slices.ContainsFunc(packs, func(p Buildpack) bool { return b.keptAt(p) == kept }) {
			err = errors.Join(err, os.RemoveAll(kept))
		}
	}
	return errors.Join(err, os.RemoveAll(b.workshop()), os.MkdirAll(b.workshop(), 0o755))
}
