//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// settle is the pause after each push. A system that still retires the old process then does not
// slow down the next push.
const settle = 500 * time.Millisecond

// pushResult has the push-to-live times of both systems, and those of two parts that no system can
// avoid.
type pushResult struct {
	Ours, Floor []push
	Plain       []time.Duration // a push over OpenSSH into a repository without a hook
	Boot        []time.Duration // node from its start to its first answer
}

// measurePush pushes the same commits to both systems. Another one is first in each round.
func measurePush(ctx context.Context, o options, c *client) (*pushResult, error) {
	return pushBeside(ctx, o, c, example)
}

func pushBeside(ctx context.Context, o options, c *client, app string) (*pushResult, error) {
	var res pushResult
	err := beside(ctx, o, c, app, func(ours, floor target, naive *naive) error {
		return res.measure(ctx, o.Pushes, c, ours, floor, naive)
	})
	return &res, err
}

func (r *pushResult) measure(
	ctx context.Context, n int, c *client, ours, floor target, naive *naive,
) error {
	for round := range n {
		progress("push %d of %d", round+1, n)
		mark, err := c.change(ctx)
		if err != nil {
			return err
		}
		steps := []func() error{
			func() error {
				p, err := c.pushUntil(ctx, ours, mark)
				r.Ours = append(r.Ours, p)
				return err
			},
			func() error {
				p, err := c.pushUntil(ctx, floor, mark)
				r.Floor = append(r.Floor, p)
				return err
			},
			func() error {
				start := time.Now()
				err := c.git(ctx, c.clone, "push", naive.remote("plain.git"), "main")
				r.Plain = append(r.Plain, time.Since(start))
				return err
			},
			func() error {
				d, err := naive.boot(ctx)
				r.Boot = append(r.Boot, d)
				return err
			},
		}
		for i := range steps {
			if err := steps[(i+round)%len(steps)](); err != nil {
				return err
			}
			time.Sleep(settle)
		}
	}
	// The first push into the empty repository carried all files, not one line.
	if n > 1 {
		r.Plain = r.Plain[1:]
	}
	return nil
}

// beside runs measure while both systems are up, each with the app deployed.
func beside(
	ctx context.Context, o options, c *client, app string,
	measure func(ours, floor target, naive *naive) error,
) error {
	server, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return err
	}
	defer server.stop()
	naive, err := startNaive(ctx, c, app)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	defer naive.stop()
	ours, floor := server.app("blog"), naive.app()
	for _, t := range []target{ours, floor} {
		progress("first push, %s", t.name)
		if _, err := c.deploy(ctx, t); err != nil {
			return err
		}
	}
	return measure(ours, floor, naive)
}

func (r *pushResult) rows(print row) { r.named("", print) }

// named prints the rows with a prefix.
func (r *pushResult) named(app string, print row) {
	live := func(p push) time.Duration { return p.Live }
	returned := func(p push) time.Duration { return p.Returned }
	compare := func(what string, value func(push) time.Duration, p int, target string) {
		ours, floor := percentile(r.Ours, value, p), percentile(r.Floor, value, p)
		print(app+what, ms(ours), ms(floor)+" (floor)", ratio(ours, floor), target)
	}
	compare(fmt.Sprintf("push to live, median of %d", len(r.Ours)), live, 50, "at most 0.45")
	compare("push to live, 90th percentile", live, 90, "")
	compare("`git push` returns, median", returned, 50, "")
	print(app+"a push over OpenSSH without a hook, median", "", ms(median(r.Plain, itself)), "", "")
	print(app+"node, from start to first answer, median", "", ms(median(r.Boot, itself)), "", "")
}

// loadResult is what visitors noticed during deploys.
type loadResult struct {
	Deploys     int
	Ours, Floor visits
}

const perSecond = 50

// measureLoad deploys to both systems in turns, with visitors on both.
func measureLoad(ctx context.Context, o options, c *client) (*loadResult, error) {
	res := &loadResult{Deploys: o.Deploys}
	err := beside(ctx, o, c, example, func(ours, floor target, _ *naive) error {
		return res.measure(ctx, c, ours, floor)
	})
	return res, err
}

func (r *loadResult) measure(ctx context.Context, c *client, ours, floor target) error {
	visiting, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { r.Ours = sum(visit(visiting, ours, perSecond)) })
	wg.Go(func() { r.Floor = sum(visit(visiting, floor, perSecond)) })
	for i := range r.Deploys {
		progress("deploy under load %d of %d", i+1, r.Deploys)
		for _, t := range []target{ours, floor} {
			if _, err := c.deploy(ctx, t); err != nil {
				return err
			}
		}
	}
	time.Sleep(settle)
	stop()
	wg.Wait()
	return ctx.Err()
}

func (r *loadResult) rows(print row) {
	failed := func(v visits) string { return fmt.Sprintf("%d of %d", v.Failed, v.Requests) }
	print(fmt.Sprintf("failed requests at %d/s, %d deploys", perSecond, r.Deploys),
		failed(r.Ours), failed(r.Floor)+" (floor)", "", "0")
	print("slowest answer meanwhile", ms(r.Ours.Slowest), ms(r.Floor.Slowest)+" (floor)", "", "")
}
