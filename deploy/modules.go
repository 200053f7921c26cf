package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"paas/git"
	"paas/remote"
	"paas/say"
	"paas/volume"
)

// Modules fetches the submodules of commits. They must be public: no credentials are sent.
type Modules struct {
	Remote Fetcher
}

// Fetcher is a [remote.Client].
type Fetcher interface {
	// Fetch fetches the commit that ref points at into the bare repository dir, which it makes.
	Fetch(ctx context.Context, r remote.Remote, ref remote.Ref, dir string) (commit string, err error)
}

// maxModuleDepth limits how deep submodules are nested.
const maxModuleDepth = 10

// Write writes the files of the submodules of commit into tree, where the other files of the commit
// are. limits holds for all files together. out hears of each submodule. The error is a
// [*git.Refused] if a submodule cannot be had, unless the network is the reason.
func (m Modules) Write(
	ctx context.Context, app volume.App, objects *git.Objects, commit, tree string,
	limits *git.Inspector, out io.Writer,
) error {
	c, err := objects.Commit(commit)
	if err != nil {
		return err
	}
	summary, err := limits.Inspect(ctx, objects, c.Tree)
	if err != nil || len(summary.Modules) == 0 {
		return err
	}
	temp, err := app.Volume().TempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	source, _, err := app.Source()
	if err != nil {
		return err
	}
	w := moduleWriter{
		Modules: m, tree: tree, temp: temp, limits: limits, out: out,
		files: summary.Files, bytes: summary.Bytes,
	}
	return w.write(ctx, summary.Modules, source.URL, "", 1)
}

// moduleWriter is the state of a [Modules.Write].
type moduleWriter struct {
	Modules
	tree   string
	temp   string // for what is fetched
	limits *git.Inspector
	out    io.Writer

	fetched int
	files   int // of the commit and the submodules so far
	bytes   int64
}

// write writes the submodules of the repository at base, whose own files are in the folder at of the
// tree.
func (w *moduleWriter) write(
	ctx context.Context, modules []git.Module, base, at string, depth int,
) error {
	for _, m := range modules {
		m.Path = path.Join(at, m.Path)
		if depth > maxModuleDepth {
			return &git.Refused{
				Reason: fmt.Sprintf(
					"%s: more than %d submodules inside each other", m.Path, maxModuleDepth,
				),
				Advice: "commit the files themselves",
			}
		}
		url, err := remote.Join(base, m.URL)
		if err != nil {
			return noModule(m, err)
		}
		if err := w.writeOne(ctx, m, url, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *moduleWriter) writeOne(ctx context.Context, m git.Module, url string, depth int) error {
	if remote.IsSSH(url) {
		return &git.Refused{
			Reason: fmt.Sprintf("the submodule %s cannot be fetched: %s needs a key, and only public "+
				"submodules are fetched", m.Path, url),
			Advice: "if it is public, write its https URL into .gitmodules; otherwise commit the " +
				"files themselves",
		}
	}
	say.Step(w.out, "Fetching the submodule %s at %s", say.Plain(m.Path, 200), git.Short(m.Commit))
	w.fetched++
	repo := git.Repo{Dir: filepath.Join(w.temp, strconv.Itoa(w.fetched))}
	from, ref := remote.Remote{URL: url}, remote.Ref{Commit: m.Commit}
	if _, err := w.Remote.Fetch(ctx, from, ref, repo.Dir); err != nil {
		return noModule(m, err)
	}
	defer os.RemoveAll(repo.Dir)
	objects := repo.Objects()
	defer objects.Close()
	c, err := objects.Commit(m.Commit)
	if err != nil {
		return err
	}
	summary, err := w.limits.Inspect(ctx, objects, c.Tree)
	if err == nil {
		w.files += summary.Files
		w.bytes += summary.Bytes
		err = w.limits.Limit(w.files, w.bytes)
	}
	var bad *git.Refused
	if errors.As(err, &bad) {
		return &git.Refused{Reason: "the submodule " + m.Path + ": " + bad.Reason, Advice: bad.Advice}
	} else if err != nil {
		return err
	}
	if err := m.MakeFolder(w.tree); err != nil {
		return err
	}
	if err := objects.WriteTree(ctx, m.Commit, filepath.Join(w.tree, m.Path)); err != nil {
		return err
	}
	return w.write(ctx, summary.Modules, url, m.Path, depth+1)
}

// noModule is err, for which submodule m cannot be fetched. It is a [*git.Refused] if trying again
// would not help.
func noModule(m git.Module, err error) error {
	err = fmt.Errorf("the submodule %s cannot be fetched: %w", m.Path, err)
	advice := "commit the files themselves (git subtree does so), or install them as a dependency " +
		"in the build"
	switch {
	case errors.Is(err, remote.ErrNoCommit):
		advice = "push " + git.Short(m.Commit) + " to the submodule's repository first"
	case errors.Is(err, remote.ErrAuth), errors.Is(err, remote.ErrNotFound):
		advice = "only public submodules are fetched: " + advice
	case errors.Is(err, remote.ErrURL), errors.Is(err, remote.ErrTooLarge),
		errors.Is(err, remote.ErrBroken):
	default:
		return err
	}
	return &git.Refused{Reason: err.Error(), Advice: advice}
}
