//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// isolationResult is the cost of isolation, measured with two servers of the same binary.
type isolationResult struct {
	Force string // the isolation in force, in the server's words
	On    kept
	Off   kept
}

// kept has the figures of one of the two servers.
type kept struct {
	Wake []time.Duration // time to the first byte of the sleeping example, which is mostly its boot
	CPU  []time.Duration // processor time of app and server for that, which other load changes less
	Load []rate          // requests to a small app that is awake
}

// measureIsolation runs both servers side by side and gives them the same work. Another one is
// first in each round.
func measureIsolation(ctx context.Context, o options, c *client) (*isolationResult, error) {
	res := &isolationResult{}
	sides := []struct {
		setting string
		to      *kept
		*server
	}{{setting: "auto", to: &res.On}, {setting: "off", to: &res.Off}}
	for i := range sides {
		side := &sides[i]
		progress("isolation: deploying with isolation %s", side.setting)
		var err error
		if side.server, err = startServer(ctx, o.Paas, c,
			[]string{"PAAS_ISOLATION=" + side.setting}); err != nil {
			return nil, err
		}
		defer side.stop()
		if _, err := side.pushSleeper(ctx, c, "blog"); err != nil {
			return nil, err
		}
		if err := pushBackend(ctx, c, side.app("backend")); err != nil {
			return nil, err
		}
	}
	var err error
	if res.Force, err = sides[0].force(ctx, "blog"); err != nil {
		return nil, err
	}
	for round := range o.Pushes + 1 {
		progress("boot with and without isolation %d of %d", round, o.Pushes)
		for i := range sides {
			side := sides[(i+round)%len(sides)]
			took, spent, err := side.wakeCost(ctx, "blog")
			if err != nil {
				return nil, fmt.Errorf("isolation %s: %w", side.setting, err)
			}
			if round > 0 { // the first round is a warm-up
				side.to.Wake, side.to.CPU = append(side.to.Wake, took), append(side.to.CPU, spent)
			}
		}
	}
	for _, side := range sides {
		if err := side.asleep(ctx, "blog"); err != nil {
			return nil, err
		}
	}
	for round := range o.Rounds + 1 {
		progress("load with and without isolation %d of %d", round, o.Rounds)
		for i := range sides {
			side := sides[(i+round)%len(sides)]
			app := side.app("backend")
			seconds := o.Seconds
			if round == 0 {
				seconds = 1
			}
			r, err := path{addr: app.addr, host: app.host, pid: side.serving()}.load(ctx, c,
				seconds)
			if err != nil {
				return nil, fmt.Errorf("isolation %s: %w", side.setting, err)
			}
			if round > 0 {
				side.to.Load = append(side.to.Load, r)
			}
		}
	}
	return res, nil
}

// wakeCost is [server.wake] with the processor time that it took.
func (r *server) wakeCost(ctx context.Context, app string) (took, spent time.Duration, err error) {
	if err := r.asleep(ctx, app); err != nil {
		return 0, 0, err
	}
	server := r.serving()
	before, err := used(server)
	if err != nil {
		return 0, 0, err
	}
	if took, err = r.wake(ctx, app); err != nil {
		return 0, 0, err
	}
	// The app may answer before processes.json lists it.
	var own time.Duration
	err = await(ctx, time.Millisecond, app+" is not in processes.json", func() bool {
		var usedErr error
		if pid := r.pid(app); pid != 0 {
			own, usedErr = used(pid)
		}
		return own > 0 && usedErr == nil
	})
	if err != nil {
		return 0, 0, err
	}
	after, err := used(server)
	return took, own + after - before, err
}

// pid returns the app's only process, or 0 if it does not run.
func (r *server) pid(app string) int {
	text, err := os.ReadFile(filepath.Join(r.root, "apps", app, "processes.json"))
	var list []struct{ PID int }
	if err != nil || json.Unmarshal(text, &list) != nil || len(list) != 1 {
		return 0
	}
	return list[0].PID
}

// force returns the isolation of the app, in the server's words.
func (r *server) force(ctx context.Context, app string) (string, error) {
	text, err := r.run(ctx, "apps:info", app, "--format", "json")
	if err != nil {
		return "", err
	}
	var info struct{ Isolation string }
	err = json.Unmarshal(text, &info)
	return info.Isolation, err
}

func (r *isolationResult) rows(print row) {
	speed := func(r rate) float64 { return r.PerSecond }
	cost := func(r rate) time.Duration { return r.CPU }
	const off = " (isolation off)"
	print("isolation in force", r.Force, "", "", "")
	compare := func(what string, on, without []time.Duration, p int, target string) {
		a, b := percentile(on, itself, p), percentile(without, itself, p)
		print(what, ms(a), ms(b)+off, fmt.Sprintf("%.3f", float64(a)/float64(b)), target)
	}
	compare(fmt.Sprintf("boot: first request to a sleeping app, to the first byte, median of %d",
		len(r.On.Wake)), r.On.Wake, r.Off.Wake, 50, "at most 1.05")
	compare("the same, 10th percentile", r.On.Wake, r.Off.Wake, 10, "")
	compare("processor time of the server and the app meanwhile, median", r.On.CPU, r.Off.CPU, 50, "")
	on, without := median(r.On.Load, speed), median(r.Off.Load, speed)
	print(fmt.Sprintf("requests a second, %d connections", connections), fmt.Sprintf("%.0f", on),
		fmt.Sprintf("%.0f", without)+off,
		fmt.Sprintf("%.3f", on/without), "at least 0.95")
	onCost, withoutCost := median(r.On.Load, cost), median(r.Off.Load, cost)
	print("processor time a request", us(onCost), us(withoutCost)+off,
		fmt.Sprintf("%.3f", float64(onCost)/float64(withoutCost)), "")
}
