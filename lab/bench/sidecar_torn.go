//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"paas/lab/proc"
)

const (
	largeFiles  = 20_000  // in each commit, all of them changed
	pinnedReads = 100_000 // at least
)

// tornResult is what readers saw while large commits arrived.
type tornResult struct {
	Files      int
	Ours, Pull readings
}

// readings counts reads of two files, the first and the last in the tree, which each commit changes
// together.
type readings struct {
	Commits, Reads int
	Torn           int    // reads of files of different commits
	First          string `json:",omitempty"` // the first torn read
}

// measureTorn reads from a static app that follows a repository with large commits, and then from a
// git pull loop.
func measureTorn(ctx context.Context, o options, c *client, h *host) (res tornResult, err error) {
	const repo = "large"
	if err := h.create(ctx, repo); err != nil {
		return res, err
	}
	commits := 0
	land := func() (int, error) {
		commits++
		return commits, h.commitLarge(ctx, repo, commits)
	}
	if _, err := land(); err != nil {
		return res, err
	}
	res.Files = largeFiles
	progress("sidecar: commits of %d files under a reader", largeFiles)
	if res.Ours, err = tornByPaas(ctx, o, c, h.url(repo), land); err != nil {
		return res, err
	}
	progress("sidecar: the same under git pull")
	f, err := followByPull(ctx, o, c, h.url(repo))
	if err != nil {
		return res, err
	}
	defer f.stop()
	res.Pull, err = readWhile(ctx, func() (string, error) { return f.tree, nil }, 1, 0, land)
	return res, err
}

func tornByPaas(
	ctx context.Context, o options, c *client, url string, land func() (int, error),
) (readings, error) {
	r, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return readings{}, err
	}
	defer r.stop()
	if _, err := r.run(ctx, "source:set", "large", url, "--every", everySecond.String()); err != nil {
		return readings{}, err
	}
	tree := func() (string, error) { return r.liveTree("large") }
	if err := await(ctx, settle, "the first large commit is not live", func() bool {
		_, err := tree()
		return err == nil
	}); err != nil {
		return readings{}, err
	}
	return readWhile(ctx, tree, 2, pinnedReads, land)
}

// liveTree resolves the app's live link.
func (r *server) liveTree(app string) (string, error) {
	dir := filepath.Join(r.root, "apps", app)
	live, err := os.Readlink(filepath.Join(dir, "live"))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, live, "release.json"))
	if err != nil {
		return "", err
	}
	var release struct{ Build string }
	err = json.Unmarshal(text, &release)
	return filepath.Join(dir, "builds", release.Build, "tree"), err
}

// readWhile reads tree while large commits arrive one after the other, until there were at least so
// many commits and reads.
func readWhile(
	ctx context.Context, tree func() (string, error), commits, reads int, land func() (int, error),
) (readings, error) {
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	var done, newest atomic.Int64 // reads; the newest commit that was read as a whole
	ended := make(chan readings)
	go func() {
		var res readings
		for ctx.Err() == nil {
			commit, err := readPinned(tree)
			if res.Reads++; res.Reads%20 == 0 {
				time.Sleep(time.Millisecond) // leaves the core to the writer
			}
			done.Store(int64(res.Reads))
			if err == nil {
				newest.Store(int64(commit))
				continue
			}
			if res.Torn++; res.First == "" {
				res.First = err.Error()
			}
		}
		ended <- res
	}()
	var err error
	landed := 0
	for err == nil && (landed < commits || done.Load() < int64(reads)) {
		var commit int
		if commit, err = land(); err != nil {
			break
		}
		err = await(ctx, time.Millisecond, fmt.Sprintf("commit %d is not there", commit),
			func() bool { return newest.Load() >= int64(commit) })
		landed++
	}
	stop()
	res := <-ended
	res.Commits = landed
	return res, err
}

const (
	firstFile = "0-first"
	lastFile  = "z-last"
)

// readPinned opens the tree, reads both files in it, and returns their commit.
func readPinned(tree func() (string, error)) (commit int, err error) {
	dir, err := tree()
	if err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	first, err1 := root.ReadFile(firstFile)
	last, err2 := root.ReadFile(lastFile)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if !bytes.Equal(first, last) {
		return 0, fmt.Errorf("%s of commit %q, %s of %q", firstFile, first, lastFile, last)
	}
	return strconv.Atoi(string(first))
}

// commitLarge makes the repository's n-th commit, which changes all its files.
func (h *host) commitLarge(ctx context.Context, repo string, n int) error {
	var stream bytes.Buffer // git-fast-import(1)
	fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter bench <bench@localhost> %d +0000\ndata 0\n",
		time.Now().Unix())
	if n > 1 {
		fmt.Fprint(&stream, "from refs/heads/main^0\n")
	}
	text := strconv.Itoa(n)
	put := func(path, text string) {
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
	}
	put(firstFile, text)
	put("index.html", "<!doctype html><title>large</title>"+text)
	for i := range largeFiles - 3 {
		put(fmt.Sprintf("files/%03d/%05d.txt", i/100, i),
			strings.Repeat(fmt.Sprintf("%d of %d\n", i, n), 20))
	}
	put(lastFile, text)
	cmd := proc.Command(ctx, h.client.Env, "git", "fast-import", "--quiet")
	cmd.Dir = h.path(repo)
	cmd.Stdin = &stream
	_, err := proc.Output(cmd)
	return err
}
