//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"paas/lab/proc"
)

const idleTime = 30 * time.Second

// idle is the cost of one follower while the repository does not change.
type idle struct {
	Name                   string
	Polls                  int
	CPU                    time.Duration // of all polls and the time between them
	Resident, Proportional float64       // MB of 2^20 bytes; the median of one reading a second
}

func (i idle) perPoll() time.Duration { return i.CPU / time.Duration(i.Polls) }

// measureIdle measures all followers during the same half minute.
func measureIdle(ctx context.Context, all []*follower) ([]idle, error) {
	progress("sidecar: %d followers while nothing happens, %s", len(all), idleTime)
	res := make([]idle, len(all))
	for i, f := range all {
		polls, err := f.polls(ctx)
		if err != nil {
			return nil, err
		}
		before, err := usedBy(f.pids) // after the call of polls, which takes processor time too
		if err != nil {
			return nil, err
		}
		res[i] = idle{Name: f.name, Polls: -polls, CPU: -before}
	}
	samples := make([][]memory, len(all))
	for start := time.Now(); time.Since(start) < idleTime; {
		if err := proc.Wait(ctx, time.Second); err != nil {
			return nil, err
		}
		for i, f := range all {
			// A child that ends now spoils this reading, but there are others.
			if m, err := readMemory(append(proc.Descendants(f.pids[0]), f.pids[0])); err == nil {
				samples[i] = append(samples[i], m)
			}
		}
	}
	for i, f := range all {
		after, err := usedBy(f.pids)
		if err != nil {
			return nil, err
		}
		polls, err := f.polls(ctx)
		if err != nil {
			return nil, err
		}
		res[i].CPU += after
		if res[i].Polls += polls; res[i].Polls == 0 || len(samples[i]) == 0 {
			return nil, fmt.Errorf("%s: %d polls and %d readings of memory in %s", f.name, res[i].Polls,
				len(samples[i]), idleTime)
		}
		res[i].Resident = median(samples[i], func(m memory) float64 { return m.Resident })
		res[i].Proportional = median(samples[i], func(m memory) float64 { return m.Proportional })
	}
	return res, nil
}
