//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"paas/lab/proc"
)

// everySecond is the shortest polling interval of a source, and the pause of the loops that are
// compared with it.
const everySecond = time.Second

// sidecarResult is the cost of following a remote repository, the time until a change arrives, and
// how often a reader sees a torn tree.
type sidecarResult struct {
	Idle  []idle // paas is the first
	Base  idle   // a sidecar without sources, per poll of the one with a source
	Files filesResult
	Live  liveResult
	Many  manyResult
	Torn  tornResult
}

// measureSidecar lets paas and its alternatives follow the same repositories, which this process
// hosts with git's own HTTP server. The figures do not include the work of that server.
func measureSidecar(ctx context.Context, o options, c *client) (*sidecarResult, error) {
	h, err := startHost(ctx, c)
	if err != nil {
		return nil, err
	}
	defer h.stop()
	var res sidecarResult
	if err := measureFollowers(ctx, o, c, h, &res); err != nil {
		return nil, fmt.Errorf("idle: %w", err)
	}
	if res.Live, err = measureLive(ctx, o, c, h); err != nil {
		return nil, fmt.Errorf("change to live: %w", err)
	}
	if res.Many, err = measureMany(ctx, o, c, h); err != nil {
		return nil, fmt.Errorf("many sources: %w", err)
	}
	if res.Torn, err = measureTorn(ctx, o, c, h); err != nil {
		return nil, fmt.Errorf("torn reads: %w", err)
	}
	return &res, nil
}

// measureFollowers runs all followers of one repository side by side, first without changes, then
// with changes.
func measureFollowers(
	ctx context.Context, o options, c *client, h *host, res *sidecarResult,
) error {
	const repo = "followed"
	if err := h.create(ctx, repo); err != nil {
		return err
	}
	if err := c.git(ctx, c.clone, "push", "-q", h.path(repo), "main"); err != nil {
		return err
	}
	var all []*follower
	defer func() {
		for _, f := range all {
			f.stop()
		}
	}()
	for _, start := range []func(context.Context, options, *client, string) (*follower, error){
		followByPaas, followByPull, followByListing,
	} {
		f, err := start(ctx, o, c, h.url(repo))
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	for _, f := range all {
		if err := f.ready(ctx); err != nil {
			return err
		}
	}
	base, err := startServer(ctx, o.Paas, c, []string{"PAAS_MODE=worktree"}, "sidecar")
	if err != nil {
		return err
	}
	all = append(all, &follower{name: "paas without a source", pids: base.processes(),
		polls: all[0].polls, stop: base.stop})
	idle, err := measureIdle(ctx, all)
	if err != nil {
		return err
	}
	res.Idle, res.Base = idle[:len(idle)-1], idle[len(idle)-1]
	res.Files, err = measureFiles(ctx, c, h.path(repo), all)
	return err
}

// await calls is until it returns true, with pauses of pace, for at most two minutes.
func await(ctx context.Context, pace time.Duration, what string, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !is() {
		if err := proc.Wait(ctx, pace); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
