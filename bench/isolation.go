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

// isolationResult is what it costs to keep apps apart: two servers of the same binary, of which one does not.
type isolationResult struct {
	Force string // what is in force where apps are kept apart, in the server's words
	On    kept
	Off   kept
}

// kept is what one of the two servers did.
type kept struct {
	Wake []time.Duration // the first request to the example, asleep, to the first byte: its boot and little else
	Load []rate          // requests to a small app, awake
}

// measureIsolation has both servers up side by side and gives them the same to do; who is first changes from
// round to round.
func measureIsolation(ctx context.Context, o options, c *client) (*isolationResult, error) {
	res := &isolationResult{}
	sides := []struct {
		setting string
		to      *kept
		*roles
	}{{setting: "auto", to: &res.On}, {setting: "off", to: &res.Off}}
	for i := range sides {
		side := &sides[i]
		progress("isolation: deploying with isolation %s", side.setting)
		var err error
		if side.roles, err = startRoles(ctx, o.Paas, c, []string{"PAAS_ISOLATION=" + side.setting}); err != nil {
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
			took, err := side.wake(ctx, "blog")
			if err != nil {
				return nil, fmt.Errorf("isolation %s: %w", side.setting, err)
			}
			if round > 0 { // the first only warms up
				side.to.Wake = append(side.to.Wake, took)
			}
		}
	}
	for _, side := range sides {
		if err := side.asleep(ctx, "blog"); err != nil {
			return nil, err
		}
	}
	script := filepath.Join(c.dir, "report.lua")
	if err := os.WriteFile(script, []byte(report), 0o600); err != nil {
		return nil, err
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
			r, err := way{addr: app.addr, host: app.host, pid: side.cmd.Process.Pid}.load(ctx, script, seconds)
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

// force is what keeps the app apart, in the server's words.
func (r *roles) force(ctx context.Context, app string) (string, error) {
	text, err := r.run(ctx, "apps:info", app, "--format", "json")
	if err != nil {
		return "", err
	}
	var info struct{ Isolation string }
	err = json.Unmarshal(text, &info)
	return info.Isolation, err
}

func (r *isolationResult) rows(row func(what, ours, other, ratio, target string)) {
	self := func(d time.Duration) time.Duration { return d }
	speed := func(r rate) float64 { return r.PerSecond }
	cost := func(r rate) time.Duration { return r.CPU }
	const off = " (isolation off)"
	row("isolation in force", r.Force, "", "", "")
	wakes := func(what string, p int, target string) {
		on, without := percentile(r.On.Wake, self, p), percentile(r.Off.Wake, self, p)
		row(what, ms(on), ms(without)+off, fmt.Sprintf("%.3f", float64(on)/float64(without)), target)
	}
	wakes(fmt.Sprintf("boot: first request to an app asleep, to the first byte, median of %d", len(r.On.Wake)), 50, "at most 1.05")
	wakes("the same, 90th percentile", 90, "")
	on, without := median(r.On.Load, speed), median(r.Off.Load, speed)
	row(fmt.Sprintf("requests a second, %d connections", connections), fmt.Sprintf("%.0f", on), fmt.Sprintf("%.0f", without)+off,
		fmt.Sprintf("%.3f", on/without), "at least 0.95")
	onCost, withoutCost := median(r.On.Load, cost), median(r.Off.Load, cost)
	row("processor time a request", us(onCost), us(withoutCost)+off, fmt.Sprintf("%.3f", float64(onCost)/float64(withoutCost)), "")
}
