//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paas/lab/proc"
)

const (
	changes = 8                   // of each kind
	changed = "posts/01-hello.md" // the file that each change is in
)

// filesResult is the time from the push of a change until each follower's files had it, in the
// order of sidecarResult.Idle, without followers that publish no files.
type filesResult struct {
	Names []string
	Took  [][]time.Duration
}

// measureFiles pushes changes to the followed repository at times that are independent of the
// followers' polls.
func measureFiles(
	ctx context.Context, c *client, remote string, all []*follower,
) (filesResult, error) {
	var res filesResult
	var trees []string
	for _, f := range all {
		if f.tree == "" {
			continue
		}
		res.Names = append(res.Names, f.name)
		trees = append(trees, f.tree)
	}
	res.Took = make([][]time.Duration, len(trees))
	for round := range changes {
		progress("sidecar: change to files %d of %d", round+1, changes)
		if err := passAnyTime(ctx); err != nil {
			return res, err
		}
		mark, err := c.change(ctx)
		if err != nil {
			return res, err
		}
		start := time.Now()
		waits, stop := context.WithCancel(ctx)
		errs := make([]error, len(trees)+1)
		var waiting sync.WaitGroup
		for i, tree := range trees {
			waiting.Go(func() {
				errs[i] = await(waits, time.Millisecond, res.Names[i]+" does not publish the change",
					func() bool {
						text, err := os.ReadFile(filepath.Join(tree, changed))
						return err == nil && bytes.Contains(text, []byte(mark))
					})
				res.Took[i] = append(res.Took[i], time.Since(start))
			})
		}
		if err := c.git(ctx, c.clone, "push", "-q", remote, "main"); err != nil {
			errs[len(trees)] = err
			stop()
		}
		waiting.Wait()
		stop()
		if err := errors.Join(errs...); err != nil {
			return res, err
		}
	}
	return res, nil
}

// passAnyTime waits for settle and then for a random part of the polling interval. A follower polls
// one interval after a change, so immediate changes would all come at the same point of it.
func passAnyTime(ctx context.Context) error { return proc.Wait(ctx, settle+rand.N(everySecond)) }
