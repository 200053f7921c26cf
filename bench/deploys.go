//go:build linux

package main

import (
	"context"
	"fmt"
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

type visits struct {
	Requests, Failed int
	Slowest          time.Duration // of those that were answered
	FirstFailure     string        `json:",omitempty"`
}

const perSecond = 50

// measureLoad deploys to both systems in turns, while both are visited all the time.
func measureLoad(ctx context.Context, n int, c *client, ours, floor target) (*loadResult, error) {
	visiting, stop := context.WithCancel(ctx)
	defer stop()
	res := loadResult{Deploys: n}
	var wg sync.WaitGroup
	wg.Go(func() { res.Ours = visit(visiting, ours) })
	wg.Go(func() { res.Floor = visit(visiting, floor) })
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

// visit sends a request each 20 ms until ctx ends, whatever became of those before it: half of
// them over connections that are kept, half over new ones. It waits for the last answers.
func visit(ctx context.Context, t target) visits {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var v visits
	kept, fresh := t.client(true), t.client(false)
	defer kept.CloseIdleConnections()
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		web := kept
		if v.Requests%2 == 1 {
			web = fresh
		}
		v.Requests++
		wg.Go(func() {
			start := time.Now()
			_, err := get(context.WithoutCancel(ctx), web, t, "/")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				v.Slowest = max(v.Slowest, time.Since(start))
				return
			}
			v.Failed++
			if v.FirstFailure == "" {
				v.FirstFailure = fmt.Sprint(err)
			}
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	wg.Wait()
	return v
}
