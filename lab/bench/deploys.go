//go:build linux

package main

import (
	"context"
	"sync"
	"time"
)

// settle is the pause after each push, so that what a system does afterwards, such as retiring the
// old process, does not fall into the next one's time.
const settle = 500 * time.Millisecond

// pushResult is push-to-live of both systems, and what of it nobody can save.
type pushResult struct {
	Ours, Floor []push
	Plain       []time.Duration // a push over OpenSSH into a repository without a hook
	Boot        []time.Duration // node from its start to its first answer
}

// measurePush pushes the same commits to both systems; who is first changes from round to round.
func measurePush(ctx context.Context, n int, c *client, ours, floor target, naive *naive) (*pushResult, error) {
	var res pushResult
	for round := range n {
		progress("push %d of %d", round+1, n)
		mark, err := c.change(ctx)
		if err != nil {
			return nil, err
		}
		steps := []func() error{
			func() error {
				p, err := c.pushUntil(ctx, ours, mark)
				res.Ours = append(res.Ours, p)
				return err
			},
			func() error {
				p, err := c.pushUntil(ctx, floor, mark)
				res.Floor = append(res.Floor, p)
				return err
			},
			func() error {
				start := time.Now()
				err := c.git(ctx, c.clone, "push", naive.remote("plain.git"), "main")
				res.Plain = append(res.Plain, time.Since(start))
				return err
			},
			func() error {
				d, err := naive.boot(ctx)
				res.Boot = append(res.Boot, d)
				return err
			},
		}
		for i := range steps {
			if err := steps[(i+round)%len(steps)](); err != nil {
				return nil, err
			}
			time.Sleep(settle)
		}
	}
	// The first push into the empty repository carried everything, not one line.
	if n > 1 {
		res.Plain = res.Plain[1:]
	}
	return &res, nil
}

// loadResult is what visitors noticed of the deploys.
type loadResult struct {
	Deploys     int
	Ours, Floor visits
}

const perSecond = 50

// measureLoad deploys to both systems in turns, while both are visited all the time.
func measureLoad(ctx context.Context, n int, c *client, ours, floor target) (*loadResult, error) {
	visiting, stop := context.WithCancel(ctx)
	defer stop()
	res := loadResult{Deploys: n}
	var wg sync.WaitGroup
	wg.Go(func() { res.Ours = sum(visit(visiting, ours, perSecond)) })
	wg.Go(func() { res.Floor = sum(visit(visiting, floor, perSecond)) })
	for i := range n {
		progress("deploy under load %d of %d", i+1, n)
		for _, t := range []target{ours, floor} {
			if _, err := c.deploy(ctx, t); err != nil {
				return nil, err
			}
		}
	}
	time.Sleep(settle)
	stop()
	wg.Wait()
	return &res, ctx.Err()
}
