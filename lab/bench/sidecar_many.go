//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/lab/proc"
)

const (
	manySources = 100
	manyEvery   = 10 * time.Second
	manyTime    = 3 * manyEvery
)

// manyResult is the cost of many sources while none of them changes.
type manyResult struct {
	Sources, Polls int
	Took, CPU      time.Duration
	Memory         memory // at the end
	Sockets        int    // the most open at once, including the listener and the requests for metrics
}

// measureMany lets a sidecar follow many repositories of one host.
func measureMany(ctx context.Context, o options, c *client, h *host) (res manyResult, err error) {
	progress("sidecar: %d sources", manySources)
	r, err := startServer(ctx, o.Paas, c, []string{"PAAS_MODE=worktree"}, "sidecar")
	if err != nil {
		return res, err
	}
	defer r.stop()
	model := h.path("followed")
	for i := range manySources {
		name := fmt.Sprintf("many%d", i)
		if err := os.CopyFS(h.path(name), os.DirFS(model)); err != nil {
			return res, err
		}
		if _, err := r.run(ctx, "source:set", name, h.url(name), "--every",
			manyEvery.String()); err != nil {
			return res, err
		}
	}
	err = await(ctx, settle, "not all sources are deployed", func() bool {
		n, err := r.count(ctx, "paas_source_deploys_total{")
		return err == nil && n >= manySources
	})
	if err != nil {
		return res, err
	}
	progress("sidecar: %d sources while nothing happens, %s", manySources, manyTime)
	const polls = "paas_source_look_seconds_count{"
	before, err := r.count(ctx, polls)
	if err != nil {
		return res, err
	}
	pid := r.serving()
	start := time.Now()
	spent, err := used(pid)
	if err != nil {
		return res, err
	}
	for time.Since(start) < manyTime {
		if err := proc.Wait(ctx, time.Second); err != nil {
			return res, err
		}
		res.Sockets = max(res.Sockets, sockets(pid))
	}
	after, err := used(pid)
	if err != nil {
		return res, err
	}
	res.Took, res.CPU = time.Since(start), after-spent
	if res.Polls, err = r.count(ctx, polls); err != nil {
		return res, err
	}
	res.Sources, res.Polls = manySources, res.Polls-before
	res.Memory, err = readMemory(r.processes())
	return res, err
}

// sockets returns the number of open sockets of a process.
func sockets(pid int) (n int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
