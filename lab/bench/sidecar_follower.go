//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"paas/lab/proc"
)

// follower is a program that polls a repository each second.
type follower struct {
	name  string
	pids  []int                              // the follower is these processes, and all below the first
	tree  string                             // the folder with the files; empty: none
	polls func(context.Context) (int, error) // returns the number of polls so far
	stop  func()
}

// ready waits until the follower has the files and keeps polling.
func (f *follower) ready(ctx context.Context) error {
	err := await(ctx, settle, f.name+" does not poll", func() bool {
		n, err := f.polls(ctx)
		return err == nil && n > 1
	})
	if err != nil || f.tree == "" {
		return err
	}
	return await(ctx, settle, f.name+" publishes no files", func() bool {
		_, err := os.Stat(filepath.Join(f.tree, changed))
		return err == nil
	})
}

// followByPaas starts a sidecar as a process of its own, which writes the files in place. Like the
// loops, it deploys nothing.
func followByPaas(ctx context.Context, o options, c *client, url string) (*follower, error) {
	r, err := startServer(ctx, o.Paas, c, []string{"PAAS_MODE=worktree"}, "sidecar")
	if err != nil {
		return nil, err
	}
	if _, err := r.run(ctx, "source:set", "blog", url, "--every", everySecond.String()); err != nil {
		return nil, err
	}
	return &follower{
		name: "paas",
		pids: r.processes(),
		tree: filepath.Join(r.root, "apps", "blog", "worktree"),
		polls: func(ctx context.Context) (int, error) {
			return r.count(ctx, "paas_source_look_seconds_count{")
		},
		stop: r.stop,
	}, nil
}

// followByPull is the sidecar of the book: a clone with a git pull loop.
func followByPull(ctx context.Context, _ options, c *client, url string) (*follower, error) {
	dir, err := os.MkdirTemp(c.dir, "pull-")
	if err != nil {
		return nil, err
	}
	if err := c.git(ctx, dir, "clone", "-q", url, "tree"); err != nil {
		return nil, err
	}
	return loop(ctx, c, "git pull", filepath.Join(dir, "tree"), "git pull -q")
}

// followByListing only polls, with git's cheapest command for that.
func followByListing(ctx context.Context, _ options, c *client, url string) (*follower, error) {
	f, err := loop(ctx, c, "git ls-remote", c.dir, `git ls-remote -q "$1" main >/dev/null`, url)
	if err == nil {
		f.tree = ""
	}
	return f, err
}

// loop makes a shell run one line in dir each second. It does not count failing polls.
func loop(
	ctx context.Context, c *client, name, dir, line string, args ...string,
) (*follower, error) {
	script := fmt.Sprintf("while :; do %s && echo; sleep %.0f; done", line, everySecond.Seconds())
	cmd := proc.Command(ctx, append(c.Env, "no_proxy=127.0.0.1"), "sh",
		append([]string{"-c", script, "sh"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var polls atomic.Int64
	go count(out, &polls)
	return &follower{
		name:  name,
		pids:  []int{cmd.Process.Pid},
		tree:  dir,
		polls: func(context.Context) (int, error) { return int(polls.Load()), nil },
		stop:  func() { end(cmd) },
	}, nil
}

// count adds the number of lines of out to n.
func count(out io.Reader, n *atomic.Int64) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n.Add(1)
	}
}

// end kills the command with its process group.
func end(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
}
