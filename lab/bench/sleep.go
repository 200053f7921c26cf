//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paas/lab/proc"
)

const (
	crowd  = 100 // requests at once
	crowds = 3   // repetitions
)

// sleepResult is how long the first request to a sleeping app waits, the part of that which the app
// needs to boot, and what happens to many first requests at once.
type sleepResult struct {
	Wake []time.Duration // from a request's new connection to the first byte of its answer
	Boot []time.Duration // node in the same build, from its start to its first answer

	Crowds, Asked, Answered int
	Starts                  int             // of processes, for all crowds together
	Last                    []time.Duration // until the last answer of each crowd
}

// measureSleep wakes the example repeatedly.
func measureSleep(ctx context.Context, o options, c *client) (*sleepResult, error) {
	r, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	tree, err := r.pushSleeper(ctx, c, "blog")
	if err != nil {
		return nil, err
	}
	app, res := r.app("blog"), &sleepResult{}
	for round := range o.Pushes {
		progress("wake %d of %d", round+1, o.Pushes)
		steps := []func() error{
			func() error {
				took, err := r.wake(ctx, "blog")
				res.Wake = append(res.Wake, took)
				return err
			},
			func() error {
				took, err := boot(ctx, tree)
				res.Boot = append(res.Boot, took)
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
	for range crowds {
		progress("%d first requests at once", crowd)
		if err := r.asleep(ctx, "blog"); err != nil {
			return nil, err
		}
		before, err := r.starts("blog")
		if err != nil {
			return nil, err
		}
		answered, took := ask(ctx, app, crowd)
		after, err := r.starts("blog")
		if err != nil {
			return nil, err
		}
		res.Crowds++
		res.Asked += crowd
		res.Answered += answered
		res.Starts += after - before
		res.Last = append(res.Last, took)
	}
	return res, nil
}

// pushSleeper pushes the example as an app that sleeps after the shortest possible time, and
// returns the folder of its build.
func (r *server) pushSleeper(ctx context.Context, c *client, app string) (tree string, err error) {
	if err := c.git(ctx, c.clone, "push", r.app(app).remote, "main"); err != nil {
		return "", err
	}
	if _, err := r.run(ctx, "sleep:set", app, "1s"); err != nil {
		return "", err
	}
	trees, err := filepath.Glob(filepath.Join(r.root, "apps", app, "builds", "*", "tree"))
	if err != nil || len(trees) != 1 {
		return "", errors.Join(fmt.Errorf("%s has %d builds, not one", app, len(trees)), err)
	}
	return trees[0], nil
}

// asleep waits until the app sleeps and none of its processes run.
func (r *server) asleep(ctx context.Context, app string) error {
	dir := filepath.Join(r.root, "apps", app)
	return await(ctx, 10*time.Millisecond, app+" does not fall asleep", func() bool {
		if _, err := os.Stat(filepath.Join(dir, "asleep.json")); err != nil {
			return false
		}
		text, err := os.ReadFile(filepath.Join(dir, "processes.json"))
		var processes []any
		return err == nil && json.Unmarshal(text, &processes) == nil && len(processes) == 0
	})
}

// wake waits until the app sleeps and the machine has settled, and returns how long the first
// request takes.
func (r *server) wake(ctx context.Context, app string) (time.Duration, error) {
	if err := r.asleep(ctx, app); err != nil {
		return 0, err
	}
	if err := proc.Wait(ctx, settle); err != nil {
		return 0, err
	}
	return firstByte(ctx, r.app(app))
}

// firstByte requests the front page over a new connection, and returns the time to the first byte
// of the answer.
func firstByte(ctx context.Context, t target) (took time.Duration, err error) {
	web := t.client(false)
	start := time.Now()
	ctx = httptrace.WithClientTrace(ctx,
		&httptrace.ClientTrace{GotFirstResponseByte: func() { took = time.Since(start) }})
	_, err = get(ctx, web, t, "/")
	return took, err
}

// ask requests the front page n times at once, each over its own connection, and returns the number
// of answers and the time until the last one.
func ask(ctx context.Context, t target, n int) (answered int, took time.Duration) {
	web := t.client(false)
	var mu sync.Mutex
	var all sync.WaitGroup
	start := time.Now()
	for range n {
		all.Go(func() {
			if _, err := get(ctx, web, t, "/"); err == nil {
				mu.Lock()
				defer mu.Unlock()
				answered++
			}
		})
	}
	all.Wait()
	return answered, time.Since(start)
}

// starts returns how often the app's web process was started, according to its log.
func (r *server) starts(app string) (int, error) {
	text, err := os.ReadFile(filepath.Join(r.root, "apps", app, "logs", "web.1.log"))
	return strings.Count(string(text), " starts\n"), err
}

func (r *sleepResult) rows(print row) {
	boot := func(p int) string { return ms(percentile(r.Boot, itself, p)) + " (the app's own boot)" }
	more := func(p int) string {
		return "boot + " + ms(percentile(r.Wake, itself, p)-percentile(r.Boot, itself, p))
	}
	print(fmt.Sprintf("first request to a sleeping app, to the first byte, median of %d", len(r.Wake)),
		ms(median(r.Wake, itself)), boot(50), more(50), "boot + 10 ms")
	print("the same, 90th percentile", ms(percentile(r.Wake, itself, 90)), boot(90), more(90), "")
	print(fmt.Sprintf("%d first requests at once, %d times: answered", crowd, r.Crowds),
		fmt.Sprintf("%d of %d", r.Answered, r.Asked), "", "", "all")
	print("processes started for them", fmt.Sprint(r.Starts), "", "",
		fmt.Sprintf("%d: one for each time", r.Crowds))
	print("until the last of the answers, median", ms(median(r.Last, itself)), "", "", "")
}
