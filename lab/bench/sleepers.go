//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"paas/lab/proc"
)

const (
	sleepers = 200 // apps
	roused   = 20  // apps that are awake in the last measurements
	wakers   = 8   // requests at once to apps asleep

	slumber = time.Minute // with all apps asleep; the server's minutely checks fall into it once
)

// sleepersResult has the figures of a server with many sleeping apps.
type sleepersResult struct {
	Fresh, Used memory        // with all asleep: after the server's start, and after each has been awake
	Quiet       time.Duration // processor time of the server in a minute without requests

	Ready    time.Duration // from SIGTERM until the server is ready again, with all asleep
	Answered int           // apps that answered when each was asked once after that
	All      time.Duration // from SIGTERM until the last app has answered
	Awake    time.Duration // from SIGTERM until the apps that stay awake have answered

	Among, Alone []switched // deploys of an app beside all the others, and of an app alone
}

// switched is one deploy: the push, and the time from the release's commit, after which it may take
// traffic, to its first answer.
type switched struct {
	Push   push
	Switch time.Duration
}

// measureSleepers pushes the example once, copies the app on the volume, and puts the copies to
// sleep.
func measureSleepers(ctx context.Context, o options, c *client) (*sleepersResult, error) {
	r, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer func() { r.stop() }()
	if _, err := r.pushSleeper(ctx, c, "app0"); err != nil {
		return nil, err
	}
	if err := r.asleep(ctx, "app0"); err != nil {
		return nil, err
	}
	r.stop()
	apps := []string{"app0"}
	progress("sleepers: %d apps", sleepers)
	for i := 1; i < sleepers; i++ {
		apps = append(apps, fmt.Sprintf("app%d", i))
		if err := r.copyApp(ctx, "app0", apps[i]); err != nil {
			return nil, err
		}
	}
	res := &sleepersResult{}
	if err := r.start(ctx, c); err != nil {
		return nil, err
	}
	progress("sleepers: memory")
	if res.Fresh, err = settled(ctx, r); err != nil {
		return nil, err
	}
	progress("sleepers: nothing happens, %s", slumber)
	if res.Quiet, err = r.spends(ctx, slumber); err != nil {
		return nil, err
	}
	progress("sleepers: restart, and wake them all")
	from := time.Now()
	if res.Ready, err = r.restart(ctx, c); err != nil {
		return nil, err
	}
	res.Answered = r.wakeAll(ctx, apps)
	res.All = time.Since(from)
	for _, app := range apps {
		if err := r.asleep(ctx, app); err != nil {
			return nil, err
		}
	}
	progress("sleepers: memory")
	if res.Used, err = settled(ctx, r); err != nil {
		return nil, err
	}
	progress("sleepers: %d of them awake", roused)
	for _, app := range apps[:roused] {
		if _, err := r.run(ctx, "sleep:set", app, "off"); err != nil {
			return nil, err
		}
	}
	from = time.Now()
	if _, err := r.restart(ctx, c); err != nil {
		return nil, err
	}
	if n := r.wakeAll(ctx, apps[:roused]); n < roused {
		return nil, fmt.Errorf("after a restart %d of %d apps that are awake answered", n, roused)
	}
	res.Awake = time.Since(from)
	return res, r.deploySwitched(ctx, o, c, apps[0], res)
}

// deploySwitched makes the same pushes to this server and to one without other apps. Another one is
// first in each round.
func (r *server) deploySwitched(
	ctx context.Context, o options, c *client, app string, res *sleepersResult,
) error {
	alone, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return err
	}
	defer alone.stop()
	sides := []struct {
		*server
		to *[]switched
	}{{r, &res.Among}, {alone, &res.Alone}}
	for round := range o.Pushes + 1 {
		progress("deploy of one of %d apps, and of one alone, %d of %d", sleepers, round, o.Pushes)
		mark, err := c.change(ctx)
		if err != nil {
			return err
		}
		for i := range sides {
			side := sides[(i+round)%len(sides)]
			s, err := side.pushSwitched(ctx, c, app, mark)
			if err != nil {
				return err
			}
			if round > 0 { // the first push to the second server is its first deploy
				*side.to = append(*side.to, s)
			}
			if err := proc.Wait(ctx, settle); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *server) pushSwitched(ctx context.Context, c *client, app, mark string) (switched, error) {
	start := time.Now()
	p, err := c.pushUntil(ctx, r.app(app), mark)
	if err != nil {
		return switched{}, err
	}
	committed, err := os.Stat(filepath.Join(r.root, "apps", app, "live", "commit"))
	if err != nil {
		return switched{}, err
	}
	return switched{p, start.Add(p.Live).Sub(committed.ModTime())}, nil
}

// copyApp copies an app on the volume while the server is stopped. The copy gets an id of its own,
// and a user of its own when it first starts.
func (r *server) copyApp(ctx context.Context, app, name string) error {
	to := filepath.Join(r.root, "apps", name)
	if _, err := proc.Output(proc.Command(ctx, os.Environ(), "cp", "-a",
		filepath.Join(r.root, "apps", app), to)); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(to, "uid")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "id"), []byte(rand.Text()), 0o644)
}

// spends returns the processor time that the server uses during d.
func (r *server) spends(ctx context.Context, d time.Duration) (time.Duration, error) {
	pids := r.processes()
	before, err := usedBy(pids)
	if err != nil {
		return 0, err
	}
	if err := proc.Wait(ctx, d); err != nil {
		return 0, err
	}
	after, err := usedBy(pids)
	return after - before, err
}

// restart stops the server with SIGTERM, starts it again, and returns how long that took.
func (r *server) restart(ctx context.Context, c *client) (time.Duration, error) {
	from := time.Now()
	r.stop()
	err := r.start(ctx, c)
	return time.Since(from), err
}

// wakeAll requests each app's front page, a few at a time, and returns the number of answers.
func (r *server) wakeAll(ctx context.Context, apps []string) int {
	var answered atomic.Int64
	var all sync.WaitGroup
	next := make(chan string)
	for range wakers {
		all.Go(func() {
			for app := range next {
				if _, err := firstByte(ctx, r.app(app)); err != nil {
					progress("%s: %v", app, err)
					continue
				}
				answered.Add(1)
			}
		})
	}
	for _, app := range apps {
		next <- app
	}
	close(next)
	all.Wait()
	return int(answered.Load())
}

func (r *sleepersResult) rows(print row) {
	reading := func(what string, m memory) {
		print(fmt.Sprintf("memory with %d sleeping apps, %s, resident / proportional", sleepers, what),
			mb(m.Resident, m.Proportional), "", "", "at most 60 MB")
	}
	reading("the server just started", r.Fresh)
	reading("each awake once before", r.Used)
	print("processor time of the server in a minute without requests",
		share(r.Quiet, slumber), "", "", "")
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
	print("restart, SIGTERM to ready, all asleep", ms(r.Ready), "", "", "")
	print(fmt.Sprintf("the same, until the last of all apps, %d at a time, has booted and answered", wakers),
		seconds(r.All), "", "", "")
	print("of these apps, answered", fmt.Sprintf("%d of %d", r.Answered, sleepers), "", "", "all")
	print(fmt.Sprintf("restart with %d awake, SIGTERM until all of these have answered", roused),
		seconds(r.Awake), "", "", "")
	compare := func(what string, value func(switched) time.Duration, target string) {
		among, alone := median(r.Among, value), median(r.Alone, value)
		print(what, ms(among), ms(alone)+" (an app alone)",
			ratio(among, alone), target)
	}
	what := fmt.Sprintf("switch on deploy, from the release's commit to its first answer, "+
		"beside %d awake and %d asleep, median of %d", roused-1, sleepers-roused, len(r.Among))
	compare(what, func(s switched) time.Duration { return s.Switch }, "unchanged")
	compare("push to live, the same deploys, median",
		func(s switched) time.Duration { return s.Push.Live }, "unchanged")
}
